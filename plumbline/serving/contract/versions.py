"""The versions of a served model, and the hashes that its files are checked against.

`integrity.json`, in the repository's folder, has the SHA-256 of each config and of each version's
`manifest.json`. The manifest has those of the version's small files. Two of these have those of the
large files: the plan those of its lookup files, `model.json` that of the weights.

The config parameter `versions` maps a version number to a `Version`, as JSON. It also has the
SHA-256 of the manifest, because the backend reads the config and not `integrity.json`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from plumbline.base.files import file_sha256, require_sha256, write_json
from plumbline.base.inside import file_inside
from plumbline.base.json_fields import from_json
from plumbline.base.json_text import parse_json, read_json
from plumbline.base.manifest import MANIFEST_FILE, hash_files
from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.model.model_card import WEIGHTS_FILE, read_model_card
from plumbline.dlrm.ops.scoring.precision import ScoringPrecision
from plumbline.features.plan.plan import read_plan
from plumbline.serving.contract.interface import LOG, MODEL_HASH, PLAN_HASH, TABLES
from plumbline.serving.errors import RepositoryError

INTEGRITY_FILE = "integrity.json"
"""In the repository's folder, where Triton ignores files."""
CONFIG_FILE = "config.pbtxt"
"""In a model's folder. The files and folders below are in a version's folder."""
ENTRY_FILE = "model.py"
PLAN_FOLDER = "plan"
MODEL_FOLDER = "model"
ONNX_FILE = "model.onnx"
COMPILED = "__pycache__"
"""An empty file, so that Python cannot create a folder of this name for the compiled `model.py`. A
new folder would change the modification time, and Triton would load the version again. Compiled
code also has no hash in the manifest."""

FORMAT_VERSION = 1
VERSIONS = "versions"
"""Name of the config parameter."""

Rules = Mapping[str, Any]
"""JSON of the config parameters `log` and `tables`, see `plumbline.serving.contract.log_rules`."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of one model, as its config describes it."""

    plan_hash: str
    model_hash: str | None
    """None for a model without weights."""
    manifest_sha256: str | None
    """None for the ensemble: its version folder is empty."""
    rules: Rules | None = None
    """How training read its log. None if that is unknown, or the model takes no raw columns."""

    def to_json(self) -> dict[str, Any]:
        content = asdict(self)
        if self.rules is None:
            del content["rules"]
        return content

    @property
    def rule_parameters(self) -> dict[str, str]:
        """The config parameters that hold the rules."""
        return {name: json.dumps(rule) for name, rule in (self.rules or {}).items()}


Versions = Mapping[str, Version]
"""Version number, which is the folder's name, to version."""


@dataclass(frozen=True, slots=True)
class VersionManifest:
    """The content of `manifest.json` in a version folder."""

    plan_hash: str
    model_hash: str | None
    precision: ScoringPrecision | None
    """Precision of the matrix products; None for a model without weights."""
    files: Mapping[str, str]
    """Path in the version folder to SHA-256."""

    def write(self, folder: Path) -> str:
        """Write the file, and return its SHA-256."""
        write_json(folder / MANIFEST_FILE, {"format_version": FORMAT_VERSION, **asdict(self)})
        return file_sha256(folder / MANIFEST_FILE)


@dataclass(frozen=True, slots=True)
class _Integrity:
    """The content of `integrity.json`."""

    files: Mapping[str, str]
    """Path in the repository to SHA-256."""


def newest(versions: Iterable[str]) -> str:
    """The highest version number.

    >>> newest(["9", "10"])
    '10'
    """
    return max(versions, key=int)


def newest_version(model: str, parameters: Mapping[str, str]) -> str:
    """The highest version in a config's parameters. Raises RepositoryError if there is none."""
    versions = versions_from_json(model, parameters.get(VERSIONS, "{}"))
    if not versions:
        raise RepositoryError(
            f"Model {model!r}: wanted versions in its config, there are none. "
            "Serve a repository that Plumbline exported."
        )
    return newest(versions)


def versions_to_json(versions: Versions) -> str:
    return json.dumps({number: versions[number].to_json() for number in sorted(versions, key=int)})


def versions_from_json(model: str, text: str) -> dict[str, Version]:
    """Raises RepositoryError if the text was not written by `versions_to_json`."""
    try:
        versions = {number: from_json(Version, one) for number, one in parse_json(text).items()}
        if any(not (number.isascii() and number.isdecimal()) for number in versions):
            raise ValueError("a version is called by its number")
        return versions
    except (ValueError, AttributeError) as error:
        raise RepositoryError.wrong_content(
            f"Model {model!r}", f"the config parameter {VERSIONS!r}", f"{error}"
        ) from None


def parameters_of(
    model: str, parameters: Mapping[str, str], number: str
) -> tuple[dict[str, str], Version]:
    """A version's own config parameters, and its entry in the parameter `versions`.

    Raises
    ------
    RepositoryError
        The config does not list the version.
    """
    versions = versions_from_json(model, parameters.get(VERSIONS, "{}"))
    if number not in versions:
        known = ", ".join(versions) or "none"
        raise RepositoryError(
            f"Model {model!r}: wanted version {number}, but its config lists {known}. "
            "Export or publish the version again."
        )
    version = versions[number]
    own = {key: value for key, value in parameters.items() if key not in (LOG, TABLES)}
    own |= {PLAN_HASH: version.plan_hash, **version.rule_parameters}
    if version.model_hash is not None:
        own[MODEL_HASH] = version.model_hash
    return own, version


def write_manifest(
    folder: Path,
    plan_hash: str,
    model_hash: str | None,
    precision: ScoringPrecision | None,
    files: Iterable[str],
    rules: Rules | None = None,
) -> Version:
    """Write the manifest of a version folder with these files."""
    hashes = hash_files(folder, [folder / file for file in files])
    manifest = VersionManifest(plan_hash, model_hash, precision, hashes)
    return Version(plan_hash, model_hash, manifest.write(folder), rules)


def verified_manifest(folder: Path, version: Version) -> VersionManifest:
    """The manifest of a version folder, after checking it and the files that it lists.

    Raises
    ------
    RepositoryError
        A file is missing or was changed, or the hashes of plan and model differ from the config's.
    """
    manifest = _verified_manifest(folder, version.manifest_sha256 or "none")
    if (manifest.plan_hash, manifest.model_hash) != (version.plan_hash, version.model_hash):
        raise RepositoryError.wrong_content(
            str(folder / MANIFEST_FILE), "the config's hashes of plan and model", "it has others"
        )
    return manifest


def write_integrity(repository: Path, versions: Mapping[str, Versions]) -> None:
    """Write `integrity.json`, the last file of a repository.

    `versions` maps each model to the versions that its config lists.
    """
    hashes = hash_files(repository, [repository / model / CONFIG_FILE for model in versions])
    for model, numbers in versions.items():
        for number, version in numbers.items():
            if version.manifest_sha256 is not None:
                hashes[f"{model}/{number}/{MANIFEST_FILE}"] = version.manifest_sha256
    content = {"format_version": FORMAT_VERSION, "files": dict(sorted(hashes.items()))}
    write_json(repository / INTEGRITY_FILE, content)


def verify_repository(repository: Path, *, large_files: bool) -> int:
    """Check all files of a repository, and return the number of its models.

    Parameters
    ----------
    large_files
        Whether to check lookup files and weights too. The Python backend checks them itself when it
        loads a model, and reading them twice would double the time to start. ONNX Runtime checks
        nothing, so the files of its models are always checked.

    Raises
    ------
    RepositoryError
        There is no repository, a file is missing or was changed, or there is a folder that Triton
        would load and the export did not write.
    PlanError, ModelError
        A file of a plan or a model is missing or was changed.
    """
    if not repository.is_dir():
        raise RepositoryError(f"{repository}: wanted a model repository, there is no folder.")
    if not (repository / INTEGRITY_FILE).is_file() and (inside := _repositories_in(repository)):
        raise RepositoryError(
            f"{repository}: wanted a model repository, got a folder that has "
            f"{' and '.join(map(str, inside))}. Name the repository."
        )
    hashes = _read_integrity(repository / INTEGRITY_FILE)
    models = {name.split("/")[0] for name in hashes}
    for folder in sorted(path for path in repository.glob("*") if path.is_dir()):
        if folder.name not in models:
            raise RepositoryError(
                f"{folder}: wanted {', '.join(sorted(models))} as models, got another one, which "
                "the export did not write. Remove it."
            )
    for name, sha256 in hashes.items():
        file = file_inside(repository, name, RepositoryError)
        if file.name == MANIFEST_FILE:
            _verified_manifest(file.parent, sha256)
            if large_files or (file.parent / ONNX_FILE).exists():
                _verify_large_files(file.parent)
            _remove_compiled(file.parent)
        else:
            require_sha256(file, sha256, RepositoryError)
    return len(models)


def _repositories_in(folder: Path) -> list[Path]:
    """The model repositories of a run's folder, or of its stage export's."""
    return sorted(
        file.parent for depth in ("*", "*/*") for file in folder.glob(f"{depth}/{INTEGRITY_FILE}")
    )


def _verified_manifest(folder: Path, sha256: str) -> VersionManifest:
    file = file_inside(folder, MANIFEST_FILE, RepositoryError)
    require_sha256(file, sha256, RepositoryError)
    manifest = _read_manifest(file)
    for name, wanted in manifest.files.items():
        require_sha256(file_inside(folder, name, RepositoryError), wanted, RepositoryError)
    return manifest


def _verify_large_files(folder: Path) -> None:
    if (folder / PLAN_FOLDER).is_dir():
        read_plan(folder / PLAN_FOLDER).tables()
    if (folder / MODEL_FOLDER).is_dir():
        wanted = read_model_card(folder / MODEL_FOLDER).weights_sha256
        weights = file_inside(folder / MODEL_FOLDER, WEIGHTS_FILE, ModelError)
        require_sha256(weights, wanted, ModelError)


def _remove_compiled(folder: Path) -> None:
    """Remove compiled code: Python would run it instead of `model.py`, and it has no hash."""
    compiled = folder / COMPILED
    if compiled.is_dir():
        try:
            shutil.rmtree(compiled)
        except OSError as error:
            raise RepositoryError(
                f"{compiled}: wanted no compiled code, which has no hash, and cannot remove it "
                f"({error.strerror}). Remove it."
            ) from None


def _read_manifest(file: Path) -> VersionManifest:
    try:
        return from_json(VersionManifest, _versioned_json(file))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        wanted = f"a version's manifest of format version {FORMAT_VERSION}"
        raise RepositoryError.wrong_content(str(file), wanted, str(error)) from None


def _read_integrity(file: Path) -> dict[str, str]:
    if not file.is_file():
        raise RepositoryError.missing(str(file))
    try:
        return dict(from_json(_Integrity, _versioned_json(file)).files)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        wanted = f"the hashes of a repository, of format version {FORMAT_VERSION}"
        raise RepositoryError.wrong_content(str(file), wanted, str(error)) from None


def _versioned_json(file: Path) -> dict[str, Any]:
    content = read_json(file)
    got = content.pop("format_version")
    if got != FORMAT_VERSION:
        raise ValueError(f"it is of format version {got}")
    return dict(content)
