"""Export a plan and a model as a Triton model repository."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from plumbline.base.files import write_text
from plumbline.features.plan.plan import Plan
from plumbline.serving.contract.versions import CONFIG_FILE, Rules
from plumbline.serving.repository.model_configs import model_configs
from plumbline.serving.repository.release import Release, write_version
from plumbline.settings import Serving

REPOSITORY_FOLDER = "model_repository"
VERSION = "1"


@dataclass(frozen=True, slots=True)
class Repository:
    """An exported repository; `files` are all of its files, in name order."""

    folder: Path
    plan_hash: str
    model_hash: str
    files: tuple[Path, ...]


def export_repository(
    plan: Plan,
    model_folder: Path,
    out: Path,
    settings: Serving,
    rows: pa.Table,
    rules: Rules | None = None,
) -> Repository:
    """Write `out/model_repository` with its four models (see
    `plumbline.serving.contract.interface`).

    What has its name is whole; one that is there already is replaced. The first raw `rows` become
    its check rows. `rules` tell how the log was read (`plumbline.serving.contract.log_rules`).

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
    files = tuple(sorted(file for file in folder.rglob("*") if file.is_file()))
    return Repository(folder, plan.content_hash, release.card.model_hash, files)


def write_repository(release: Release, folder: Path, settings: Serving) -> None:
    """Write a repository with a release as its first version; one that is there is replaced.

    It is built beside its place and renamed into it, so what has its name is whole.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        built = Path(scratch) / folder.name
        written = write_version(release, built, VERSION)
        versions = {model: {VERSION: version} for model, version in written.items()}
        configs = model_configs(
            release.plan, settings, versions, current=VERSION, precision=release.precision
        )
        for model, config in configs.items():
            write_config(built, model, config)
        if folder.exists():
            folder.replace(Path(scratch) / "replaced")
        built.replace(folder)


def write_config(repository: Path, model: str, config: str) -> None:
    """Atomic: Triton reads the old config or the new one."""
    write_text(repository / model / CONFIG_FILE, config)
