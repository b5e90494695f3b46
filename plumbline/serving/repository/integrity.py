"""Who vouches for a repository's files before a server starts on it.

The configs: the manifest of the stage that exported them, or what the last publish wrote into the
repository. They vouch for each version's manifest, and it for the version's small files. The large
ones, vocabularies and weights, are checked by the steps when they are loaded: reading them twice
would double the time to start.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from plumbline.base.files import require_sha256, write_json
from plumbline.base.manifest import MANIFEST_FILE, Manifest, hash_files
from plumbline.serving.contract.interface import MODELS
from plumbline.serving.contract.versions import CONFIG_FILE
from plumbline.serving.errors import RepositoryError
from plumbline.serving.repository.version_files import verify_versions

VOUCHING_FILE = "published.json"
FORMAT_VERSION = 1


def vouch_for_configs(repository: Path) -> None:
    """Write down the hashes of the configs, as the end of a publish."""
    configs = hash_files(repository, (repository / model / CONFIG_FILE for model in MODELS))
    write_json(repository / VOUCHING_FILE, {"format_version": FORMAT_VERSION, "configs": configs})


def verify_repository(repository: Path) -> None:
    """Check a repository's files; one that nothing vouches for is left to the server.

    Raises
    ------
    RepositoryError
        A file is missing or was changed.
    StageError
        The manifest of the export cannot be read.
    """
    if verify_configs(repository):
        verify_versions(repository, large_files=False)


def verify_configs(repository: Path) -> bool:
    """Check the configs, as `verify_repository` does; whether anything vouches for them."""
    configs = _vouched_configs(repository)
    for name, wanted in (configs or {}).items():
        require_sha256(repository / name, wanted, RepositoryError)
    return configs is not None


def _vouched_configs(repository: Path) -> Mapping[str, str] | None:
    """Path inside the repository to SHA-256."""
    file = repository / VOUCHING_FILE
    if file.is_file():
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            if content["format_version"] != FORMAT_VERSION:
                raise ValueError("it is of another format version")
            return {str(name): str(sha256) for name, sha256 in content["configs"].items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            wanted = "the hashes of the configs"
            raise RepositoryError.wrong_content(str(file), wanted, str(error)) from None
    beside = repository.resolve().parent
    if not (beside / MANIFEST_FILE).is_file():
        return None
    inside = f"{repository.resolve().name}/"
    return {
        name.removeprefix(inside): sha256
        for name, sha256 in Manifest.read(beside).files.items()
        if name.startswith(inside) and name.endswith(f"/{CONFIG_FILE}")
    }
