"""Check the files of a repository's versions against what its configs say of them.

A config vouches for the manifest of a version, the manifest for its small files, and these for the
large ones: the plan for its look-up files, `model.json` for the weights. Imports only what the
server's image has.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from plumbline.base.files import require_sha256
from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.model.model_card import WEIGHTS_FILE, read_model_card
from plumbline.features.plan.plan import read_plan
from plumbline.serving.contract.config_pbtxt import read_parameters
from plumbline.serving.contract.versions import (
    COMPILED,
    CONFIG_FILE,
    MODEL_FOLDER,
    ONNX_FILE,
    PLAN_FOLDER,
    VERSIONS,
    Version,
    verified_manifest,
    versions_from_json,
)
from plumbline.serving.errors import RepositoryError


def verify_versions(repository: Path, *, large_files: bool) -> int:
    """Check every version that a config lists; the number of versions checked.

    Parameters
    ----------
    large_files
        False leaves the large ones to the Python steps, which check them when they load: reading
        them twice would double the time to start. Those of ONNX Runtime, which checks nothing, are
        checked all the same.

    Raises
    ------
    RepositoryError
        No model, a folder that Triton would load and export did not write, or a file of a version
        that is missing or was changed.
    PlanError, ModelError
        A file of a plan or a model that is missing or was changed.
    """
    folders = sorted(path for path in repository.glob("*") if path.is_dir())
    if not folders:
        raise RepositoryError(f"{repository}: wanted a model repository, found no model in it.")
    listed = [(model, *entry) for model in folders for entry in _versions(model).items()]
    for model, number, version in listed:
        _verify(model / number, version, large_files)
    return len(listed)


def _versions(model: Path) -> dict[str, Version]:
    config = model / CONFIG_FILE
    if not config.is_file():
        raise RepositoryError.missing(str(config))
    parameters = read_parameters(config.read_text(encoding="utf-8"))
    return versions_from_json(model.name, parameters.get(VERSIONS, ""))


def _verify(folder: Path, version: Version, large_files: bool) -> None:
    if version.manifest_sha256 is not None:
        verified_manifest(folder, version)
        if large_files or (folder / ONNX_FILE).exists():
            _verify_large_files(folder)
    _remove_compiled(folder)


def _verify_large_files(folder: Path) -> None:
    if (folder / PLAN_FOLDER).is_dir():
        read_plan(folder / PLAN_FOLDER).tables()
    if (folder / MODEL_FOLDER).is_dir():
        wanted = read_model_card(folder / MODEL_FOLDER).weights_sha256
        require_sha256(folder / MODEL_FOLDER / WEIGHTS_FILE, wanted, ModelError)


def _remove_compiled(folder: Path) -> None:
    """Python would run a compiled `model.py`, which no manifest vouches for, in its place."""
    compiled = folder / COMPILED
    if compiled.is_dir():
        try:
            shutil.rmtree(compiled)
        except OSError as error:
            raise RepositoryError(
                f"{compiled}: wanted no compiled code, which nothing vouches for, and it cannot be "
                f"removed ({error.strerror}). Remove it."
            ) from None
