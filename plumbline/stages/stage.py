"""What all stages share: when they are skipped, and their manifests.

A stage writes one folder of a run. Its manifest is written last, so a stage with one is complete.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plumbline.base.console import tell_stage
from plumbline.base.errors import StageError
from plumbline.base.exit_status import machine_errors
from plumbline.base.file_checks import FileChecks
from plumbline.base.files import flush, remove
from plumbline.base.manifest import (
    MANIFEST_FILE,
    Manifest,
    differences,
    package_versions,
    record_files,
)
from plumbline.stages.finished import Finished
from plumbline.stages.peak_memory import peak_memory
from plumbline.stages.run import PARENT, Run

PACKAGES = (
    "plumbline", "nvtabular", "merlin-core", "merlin-dataloader", "merlin-models", "dask", "pandas",
    "numpy", "pyarrow", "polars", "pyspark", "torch", "nvidia-pytriton", "tritonclient",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class StageResult:
    """What a stage's work adds to its manifest: see `plumbline.base.manifest.Manifest`."""

    rows: dict[str, int] = field(default_factory=dict)
    schema: list[dict[str, Any]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stage:
    """`needs` returns the stages that it reads, `settings` what else its result depends on."""

    name: str
    needs: Callable[[Run], tuple[str, ...]]
    settings: Callable[[Run], dict[str, Any]]
    work: Callable[[Run, Mapping[str, Finished], Path], StageResult]
    derived: Callable[[Run, Mapping[str, Finished]], dict[str, Any]] = lambda *_: {}
    """Returns further settings, which also depend on the inputs."""
    read_sources: Callable[[Run, Mapping[str, Finished]], None] = lambda *_: None
    """Reads what comes from outside of the run, which checks it, for `verify`."""
    resumes_from: Collection[str] = ()
    """Entries of its folder from which a killed stage goes on; removed when it is complete."""

    def ensure(
        self, run: Run, folder: Path, *, force: bool = False, verify: bool = False
    ) -> Finished:
        """Run the stage in the run's folder, unless it is complete already.

        The work starts in an empty folder, except for `resumes_from`. The files that it reads are
        checked against the manifests of their stages; with `verify`, so are those of a complete
        stage and its sources.

        Raises
        ------
        StageError
            A stage that it needs is not complete, this one is complete but its settings or inputs
            have changed, or a file was changed after its stage wrote it.
        """
        out = folder / self.name
        with machine_errors(out):
            with FileChecks() as checks:
                inputs = {
                    name: Finished.read(*_place(run, folder, name), checks)
                    for name in self.needs(run)
                }
                # Before the work, since a graph may be edited meanwhile, and before anything is
                # deleted.
                settings = {**self.settings(run), **self.derived(run, inputs)}
                if not force and os.path.lexists(out / MANIFEST_FILE):
                    manifest = Manifest.read(out)
                    self._require_unchanged(manifest, settings, inputs, out)
                    self._remove_resumable(out)
                    if verify:
                        manifest.verify(out)
                        self.read_sources(run, inputs)
                    tell_stage(self.name, "skipped")
                    return Finished(out, manifest, FileChecks())
                tell_stage(self.name, "begun")
                _prepare(out, () if force else self.resumes_from)
                started = time.perf_counter()
                with peak_memory() as peak:
                    result = self.work(run, inputs, out)
            manifest = Manifest(
                stage=self.name,
                settings=settings,
                inputs={name: finished.manifest.hash for name, finished in inputs.items()},
                schema=result.schema,
                rows=result.rows,
                files=record_files(out, self.resumes_from),
                versions=package_versions(PACKAGES),
                seconds=round(time.perf_counter() - started, 3),
                facts={**result.facts, "peak_rss_mb": peak.megabytes},
            )
            manifest.write(out)
            tell_stage(self.name, "complete", manifest.seconds)
            self._remove_resumable(out)
            return Finished(out, manifest, FileChecks())

    def _remove_resumable(self, out: Path) -> None:
        for name in self.resumes_from:
            remove(out / name)

    def _require_unchanged(
        self,
        manifest: Manifest,
        settings: dict[str, Any],
        inputs: Mapping[str, Finished],
        out: Path,
    ) -> None:
        changed = differences(manifest.settings, settings)
        changed += [
            f"stage {name} was run again"
            for name, finished in inputs.items()
            if manifest.inputs.get(name) != finished.manifest.hash
        ]
        changed += [f"{name} is missing" for name in manifest.files if not (out / name).is_file()]
        if changed:
            raise StageError(
                f"{out}: settings or inputs have changed: {'; '.join(changed)}. "
                f"Run again with --from {self.name} (or --force), or with another --out."
            )


def _place(run: Run, folder: Path, name: str) -> tuple[Path, str]:
    """The folder of the run that an input is of, and the stage's name in it."""
    if run.parent is not None and name.startswith(PARENT):
        return run.parent, name.removeprefix(PARENT)
    return folder, name


def reads(*stages: str) -> Callable[[Run], tuple[str, ...]]:
    """For `Stage.needs`, if the stage reads the same stages in every run."""
    return lambda _: stages


def parts(folder: Path) -> list[Path]:
    """The Parquet files of a split, in order."""
    return sorted(folder.glob("part-*.parquet"))


def _prepare(out: Path, kept: Collection[str]) -> None:
    """Make the folder, or empty it except for the entries `kept`; the manifest goes first."""
    if os.path.lexists(out) and not out.is_dir():
        raise StageError(
            f"{out}: wanted the stage's folder, found something else. Move it away, or run with "
            "another --out."
        )
    out.mkdir(parents=True, exist_ok=True)
    remove(out / MANIFEST_FILE)
    flush(out)
    for entry in list(out.iterdir()):
        if entry.name not in kept:
            remove(entry)
