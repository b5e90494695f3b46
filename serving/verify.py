"""Verify a model repository before a server loads it: `python -m serving.verify FOLDER`.

The Python steps check their files again when they are loaded. ONNX Runtime does not, so a server
with a GPU is started only after this: in a container by an init container or the image's entry.
Imports only what the server's image has.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dlrm.model_card import WEIGHTS_FILE, read_model_card
from features.errors import ModelError, PlumblineError, RepositoryError
from features.hashing import file_sha256
from features.plan import read_plan
from serving.config_pbtxt import CONFIG_FILE, read_parameters
from serving.encoding import PLAN_FOLDER
from serving.scoring import MODEL_FOLDER
from serving.versions import VERSIONS, verified_manifest, versions_from_json


def verify_repository(folder: Path) -> int:
    """Check every file of every version that a config lists; the number of versions checked.

    A server loads what the configs say, so these have to come from a place that is trusted.

    Raises
    ------
    RepositoryError
        No model, a folder that Triton would load and export did not write, or a file of a version
        that is missing or was changed.
    PlanError, ModelError
        A file of a plan or a model that is missing or was changed.
    """
    models = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if not models:
        raise RepositoryError(f"{folder}: wanted a model repository, found no model in it.")
    return sum(_verify_model(model) for model in models)


def _verify_model(folder: Path) -> int:
    config = folder / CONFIG_FILE
    if not config.is_file():
        raise RepositoryError.missing(str(config))
    parameters = read_parameters(config.read_text(encoding="utf-8"))
    versions = versions_from_json(folder.name, parameters.get(VERSIONS, ""))
    for number, version in versions.items():
        if version.manifest_sha256 is not None:
            verified_manifest(folder / number, version)
            _verify_large_files(folder / number)
    return len(versions)


def _verify_large_files(version: Path) -> None:
    """What the manifest does not list itself, but a file that it lists."""
    if (version / PLAN_FOLDER).is_dir():
        read_plan(version / PLAN_FOLDER).tables()
    if (version / MODEL_FOLDER).is_dir():
        card = read_model_card(version / MODEL_FOLDER)
        weights = version / MODEL_FOLDER / WEIGHTS_FILE
        if not weights.is_file():
            raise ModelError.missing(str(weights))
        came = file_sha256(weights)
        if came != card.weights_sha256:
            raise ModelError.damaged(str(weights), card.weights_sha256, came)


def main() -> int:
    """0, or 2 and the reason on the standard error."""
    parser = argparse.ArgumentParser(description="Verify a model repository's files.")
    parser.add_argument("repository", type=Path, help="The model repository folder.")
    try:
        count = verify_repository(parser.parse_args().repository)
    except PlumblineError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.write(f"{count} versions verified.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
