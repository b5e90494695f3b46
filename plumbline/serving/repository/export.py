"""Write a release as a Triton model repository."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from plumbline.serving.contract.versions import write_integrity
from plumbline.serving.repository.configs import model_configs, write_config
from plumbline.serving.repository.release import Release, write_version
from plumbline.settings import Serving

REPOSITORY_FOLDER = "model_repository"
FIRST_VERSION = "1"


def write_repository(release: Release, folder: Path, settings: Serving) -> None:
    """Write a repository of the four models, with the release as version 1.

    The models are those of `plumbline.serving.contract.interface`. An existing repository is
    replaced. The new one is built beside `folder` and renamed, so it is complete or absent.
    """
    with built_beside(folder) as built:
        written = write_version(release, built, FIRST_VERSION)
        versions = {model: {FIRST_VERSION: version} for model, version in written.items()}
        configs = model_configs(
            release.plan, settings, versions, current=FIRST_VERSION, precision=release.precision
        )
        for model, config in configs.items():
            write_config(built, model, config)
        write_integrity(built, versions)


@contextmanager
def built_beside(folder: Path) -> Iterator[Path]:
    """A new folder to build a repository in; it replaces `folder` at the end."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        built = Path(scratch) / folder.name
        yield built
        if folder.exists():
            folder.replace(Path(scratch) / "replaced")
        built.replace(folder)
