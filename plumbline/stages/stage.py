"""What every stage shares: its options, when it is skipped, and its manifest.

A stage makes one folder of a run. Its manifest is written last: present means complete.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from plumbline.base.console import say
from plumbline.base.device import Device
from plumbline.base.errors import StageError
from plumbline.base.manifest import (
    MANIFEST_FILE,
    Manifest,
    differences,
    hash_files,
    package_versions,
)
from plumbline.settings import Config

PACKAGES = (
    "plumbline", "nvtabular", "merlin-core", "merlin-dataloader", "merlin-models", "dask", "pandas",
    "numpy", "pyarrow", "polars", "torch", "nvidia-pytriton", "tritonclient",
)  # fmt: skip


Engine = Literal["native", "nvtabular"]


@dataclass(frozen=True, slots=True)
class RunConfig:
    """One run: the configuration, and the options of the command line."""

    config: Config
    data: tuple[Path, ...]
    engine: Engine
    model: Literal["fused", "merlin"]
    device: Device
    scheduler: str | None


@dataclass(frozen=True, slots=True)
class Finished:
    """A complete stage: its folder and its manifest."""

    folder: Path
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Made:
    """What a stage's work gives to its manifest (see `plumbline.base.manifest.Manifest`)."""

    rows: dict[str, int] = field(default_factory=dict)
    schema: list[dict[str, Any]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stage:
    """`needs` are the stages it reads, `settings` what it depends on besides them.

    `derived` are settings that are computed from the inputs, too. `check` refuses, before any stage
    runs, what the stage could not work with.
    """

    name: str
    needs: Callable[[RunConfig], tuple[str, ...]]
    settings: Callable[[RunConfig], dict[str, Any]]
    work: Callable[[RunConfig, Mapping[str, Finished], Path], Made]
    derived: Callable[[RunConfig, Mapping[str, Finished]], dict[str, Any]] = lambda *_: {}
    check: Callable[[RunConfig], None] = lambda _: None

    def run(self, config: RunConfig, inputs: Mapping[str, Finished], out: Path) -> Manifest:
        """Do the stage's work in folder `out`, and write its manifest."""
        (out / MANIFEST_FILE).unlink(missing_ok=True)
        out.mkdir(parents=True, exist_ok=True)
        started = time.perf_counter()
        made = self.work(config, inputs, out)
        manifest = Manifest(
            stage=self.name,
            settings={**self.settings(config), **self.derived(config, inputs)},
            inputs={name: finished.manifest.hash for name, finished in inputs.items()},
            schema=made.schema,
            rows=made.rows,
            files=hash_files(out, (file for file in out.rglob("*") if file.is_file())),
            versions=package_versions(PACKAGES),
            seconds=round(time.perf_counter() - started, 3),
            facts=made.facts,
        )
        manifest.write(out)
        return manifest

    def ensure(self, config: RunConfig, run_folder: Path, *, force: bool = False) -> Finished:
        """Run the stage, or skip it where a complete and fitting one is there.

        Raises
        ------
        StageError
            A stage it needs is not complete, or it was made from other settings or inputs.
        """
        inputs = {name: finished(run_folder, name) for name in self.needs(config)}
        out = run_folder / self.name
        if force and out.exists():
            shutil.rmtree(out)
        if (out / MANIFEST_FILE).is_file():
            manifest = Manifest.read(out)
            self._check_fits(manifest, config, inputs, out)
            say(": complete, skipped", label=self.name)
            return Finished(out, manifest)
        say("", label=self.name)
        return Finished(out, self.run(config, inputs, out))

    def _check_fits(
        self, manifest: Manifest, config: RunConfig, inputs: Mapping[str, Finished], out: Path
    ) -> None:
        settings = {**self.settings(config), **self.derived(config, inputs)}
        changed = differences(manifest.settings, settings)
        changed += [
            f"stage {name} was made anew"
            for name, finished in inputs.items()
            if manifest.inputs.get(name) != finished.manifest.hash
        ]
        changed += [f"{name} is missing" for name in manifest.files if not (out / name).is_file()]
        if changed:
            raise StageError(
                f"{out}: made from something else: {'; '.join(changed)}. "
                f"Run again with --from {self.name} (or --force), or with another --out."
            )


def reads(*stages: str) -> Callable[[RunConfig], tuple[str, ...]]:
    """The same stages are read whatever the configuration."""
    return lambda _: stages


def parts(folder: Path) -> list[Path]:
    """The Parquet files of a split, in order."""
    return sorted(folder.glob("part-*.parquet"))


def finished(run_folder: Path, name: str) -> Finished:
    """Raises StageError where the stage is not complete."""
    folder = run_folder / name
    return Finished(folder, Manifest.read(folder))
