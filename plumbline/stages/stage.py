"""What all stages share: when they are skipped, and their manifests.

A stage writes one folder of a run. Its manifest is written last, so a stage with one is complete.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plumbline.base.console import say
from plumbline.base.errors import StageError
from plumbline.base.manifest import (
    MANIFEST_FILE,
    Manifest,
    differences,
    hash_files,
    package_versions,
)
from plumbline.stages.run import Run

PACKAGES = (
    "plumbline", "nvtabular", "merlin-core", "merlin-dataloader", "merlin-models", "dask", "pandas",
    "numpy", "pyarrow", "polars", "torch", "nvidia-pytriton", "tritonclient",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finished:
    """A complete stage: its folder and its manifest."""

    folder: Path
    manifest: Manifest


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

    def ensure(self, run: Run, folder: Path, *, force: bool = False) -> Finished:
        """Run the stage in the run's folder, unless it is complete already.

        Raises
        ------
        StageError
            A stage that it needs is not complete, or this one is complete but its settings or
            inputs have changed.
        """
        inputs = {name: finished(folder, name) for name in self.needs(run)}
        # Before the work, since a graph may be edited meanwhile, and before anything is deleted.
        settings = {**self.settings(run), **self.derived(run, inputs)}
        out = folder / self.name
        if force and out.exists():
            shutil.rmtree(out)
        if (out / MANIFEST_FILE).is_file():
            manifest = Manifest.read(out)
            self._require_unchanged(manifest, settings, inputs, out)
            say(": complete, skipped", label=self.name)
            return Finished(out, manifest)
        say("", label=self.name)
        return Finished(out, self._complete(run, inputs, settings, out))

    def _complete(
        self, run: Run, inputs: Mapping[str, Finished], settings: dict[str, Any], out: Path
    ) -> Manifest:
        """Do the work in the folder `out`, then write the manifest."""
        (out / MANIFEST_FILE).unlink(missing_ok=True)
        out.mkdir(parents=True, exist_ok=True)
        started = time.perf_counter()
        result = self.work(run, inputs, out)
        manifest = Manifest(
            stage=self.name,
            settings=settings,
            inputs={name: finished.manifest.hash for name, finished in inputs.items()},
            schema=result.schema,
            rows=result.rows,
            files=hash_files(out, (file for file in out.rglob("*") if file.is_file())),
            versions=package_versions(PACKAGES),
            seconds=round(time.perf_counter() - started, 3),
            facts=result.facts,
        )
        manifest.write(out)
        return manifest

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


def reads(*stages: str) -> Callable[[Run], tuple[str, ...]]:
    """For `Stage.needs`, if the stage reads the same stages in every run."""
    return lambda _: stages


def parts(folder: Path) -> list[Path]:
    """The Parquet files of a split, in order."""
    return sorted(folder.glob("part-*.parquet"))


def finished(run_folder: Path, name: str) -> Finished:
    """A stage of a run; raises StageError if it is not complete."""
    folder = run_folder / name
    return Finished(folder, Manifest.read(folder))
