"""The versions of a served model: what its config says of each, and the manifest in its folder.

The config's parameter `versions` is JSON, version number to `Version`. It vouches for the manifest,
the manifest for the version's small files, and these for the large ones: the plan for its look-up
files, `model.json` for the weights.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from plumbline.base.files import file_sha256, require_sha256, write_json
from plumbline.base.manifest import MANIFEST_FILE, hash_files
from plumbline.dlrm.ops.scoring.precision import ScoringPrecision
from plumbline.serving.contract.interface import LOG, MODEL_HASH, PLAN_HASH, TABLES
from plumbline.serving.errors import RepositoryError

CONFIG_FILE = "config.pbtxt"
"""In a model's folder; the others are in a version folder."""
ENTRY_FILE = "model.py"
PLAN_FOLDER = "plan"
MODEL_FOLDER = "model"
ONNX_FILE = "model.onnx"
COMPILED = "__pycache__"
"""An empty file that keeps Python from making a folder of this name for the compiled `model.py`. It
would change the version's time, so that Triton loads the version once more, and no manifest would
have its hash."""

FORMAT_VERSION = 1
VERSIONS = "versions"
"""The config parameter."""

Rules = Mapping[str, Any]
"""JSON of the config parameters `log` and `tables`, see `plumbline.serving.contract.log_rules`."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of one model."""

    plan_hash: str
    model_hash: str | None
    """None where the step has no model."""
    manifest_sha256: str | None
    """None for the ensemble, whose version folder is empty."""
    rules: Rules | None = None
    """How training read its log; None where the step takes no raw columns, or it is not known."""

    def to_json(self) -> dict[str, Any]:
        form = asdict(self)
        if self.rules is None:
            del form["rules"]
        return form

    @property
    def rule_parameters(self) -> dict[str, str]:
        """The config parameters that tell the rules."""
        return {name: json.dumps(form) for name, form in (self.rules or {}).items()}


Versions = Mapping[str, Version]
"""Version number, as Triton has it in folder names, to version."""


@dataclass(frozen=True, slots=True)
class VersionManifest:
    """What `manifest.json` in a version folder says."""

    plan_hash: str
    model_hash: str | None
    precision: ScoringPrecision | None
    """Of the model's products; None where the step has no model."""
    files: Mapping[str, str]
    """Path inside the version folder to SHA-256."""

    def write(self, folder: Path) -> str:
        """Returns the SHA-256 of the file."""
        write_json(folder / MANIFEST_FILE, {"format_version": FORMAT_VERSION, **asdict(self)})
        return file_sha256(folder / MANIFEST_FILE)


def newest(versions: Iterable[str]) -> str:
    """The highest version number.

    >>> newest(["9", "10"])
    '10'
    """
    return max(versions, key=int)


def versions_to_json(versions: Versions) -> str:
    return json.dumps({number: versions[number].to_json() for number in sorted(versions, key=int)})


def versions_from_json(model: str, text: str) -> dict[str, Version]:
    """Raises RepositoryError where the parameter is not what `versions_to_json` writes."""
    try:
        return {number: Version(**form) for number, form in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise RepositoryError.wrong_content(
            f"Model {model!r}", f"the config parameter {VERSIONS!r}", f"{error}"
        ) from None


def parameters_of(
    model: str, parameters: Mapping[str, str], number: str
) -> tuple[dict[str, str], Version]:
    """The config parameters as they are for one version, and what they say of it.

    Raises
    ------
    RepositoryError
        The config does not list the version.
    """
    versions = versions_from_json(model, parameters.get(VERSIONS, "{}"))
    if number not in versions:
        known = ", ".join(versions) or "none"
        raise RepositoryError(
            f"Model {model!r}: its config vouches for version {known}, not for {number}. "
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
    """Write the manifest of a version folder that holds these files."""
    found = hash_files(folder, (folder / file for file in files))
    manifest = VersionManifest(plan_hash, model_hash, precision, found)
    return Version(plan_hash, model_hash, manifest.write(folder), rules)


def verified_manifest(folder: Path, version: Version) -> VersionManifest:
    """The manifest of a version folder, itself and the files that it lists checked.

    Raises
    ------
    RepositoryError
        One of them is missing or was changed, or tells other hashes than the config.
    """
    file = folder / MANIFEST_FILE
    require_sha256(file, version.manifest_sha256 or "none", RepositoryError)
    manifest = _read(file)
    if (manifest.plan_hash, manifest.model_hash) != (version.plan_hash, version.model_hash):
        raise RepositoryError.wrong_content(
            str(file), "the hashes of plan and model that the config tells", "it tells others"
        )
    for name, sha256 in manifest.files.items():
        require_sha256(folder / name, sha256, RepositoryError)
    return manifest


def _read(file: Path) -> VersionManifest:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        came = content.pop("format_version")
        if came != FORMAT_VERSION:
            raise ValueError(f"it is of format version {came}")
        manifest = VersionManifest(**content)
        if manifest.precision not in (None, *get_args(ScoringPrecision)):
            raise ValueError(f"its precision is {manifest.precision!r}")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        wanted = f"a version's manifest of format version {FORMAT_VERSION}"
        raise RepositoryError.wrong_content(str(file), wanted, str(error)) from None
    return manifest
