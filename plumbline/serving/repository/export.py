"""Export a plan and a model as a Triton model repository."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from plumbline.features.plan.plan import Plan
from plumbline.serving.contract.versions import Rules, write_integrity
from plumbline.serving.repository.configs import model_configs, write_config
from plumbline.serving.repository.release import Release, write_version
from plumbline.settings import Serving

REPOSITORY_FOLDER = "model_repository"
FIRST_VERSION = "1"


def export_repository(
    plan: Plan,
    model_folder: Path,
    out: Path,
    settings: Serving,
    rows: pa.Table,
    rules: Rules | None = None,
) -> Path:
    """Write `out/model_repository` with its four models: `plumbline.serving.contract.interface`.

    A repository that is there already is replaced. The first raw `rows` become its check rows.
    `rules` is how the log was read (`plumbline.serving.contract.log_rules`).

    Raises
    ------
    PlanError
        A file of the plan is missing or was changed, or the rows lack a column.
    ModelError
        The model was trained on another plan, or a file of it is missing or was changed.
    RepositoryError
        There is no row.
    """
    release = Release.of(plan, model_folder, rows, settings, rules)
    folder = out / REPOSITORY_FOLDER
    write_repository(release, folder, settings)
    return folder


def write_repository(release: Release, folder: Path, settings: Serving) -> None:
    """Write a repository with a release as its first version; one that is there is replaced.

    It is built beside `folder` and renamed to it: a repository is complete, or not there.
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
    """A new folder to build a repository in; at the end it replaces `folder`."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        built = Path(scratch) / folder.name
        yield built
        if folder.exists():
            folder.replace(Path(scratch) / "replaced")
        built.replace(folder)
