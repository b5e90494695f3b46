"""What a run's folder holds: which stages are complete, from what, and how long they took."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from plumbline.base.errors import StageError
from plumbline.base.exit_status import machine_errors
from plumbline.base.manifest import MANIFEST_FILE, Manifest
from plumbline.stages.parent import Link
from plumbline.stages.run import PARENT
from plumbline.stages.run_all import STAGES
from plumbline.stages.run_lock import LOCK_FILE, lock_holder

COMPLETE, OUTDATED, BEGUN, DAMAGED = "complete", "outdated", "begun", "damaged"


@dataclass(frozen=True, slots=True)
class StageStatus:
    """One stage that left something in the run's folder."""

    stage: str
    state: str
    """complete; outdated: a stage that it read was run again; begun: it has no manifest; damaged:
    its manifest cannot be read."""
    why: str
    """Of a stage that is not complete."""
    inputs: tuple[str, ...]
    rows: Mapping[str, int]
    """Split to its number of rows."""
    seconds: float | None
    """How long it took."""
    finished: str | None
    """When its manifest was written, in UTC."""
    bytes: int
    """On the disk."""


@dataclass(frozen=True, slots=True)
class RunStatus:
    """The stages of a run, in order, and the process that works in its folder."""

    folder: Path
    stages: tuple[StageStatus, ...]
    works: str | None

    @property
    def goes_on_with(self) -> str | None:
        """The first stage that the next run does; None if all are complete.

        The stage generate is there only if the run draws its logs.
        """
        states = {stage.stage: stage.state for stage in self.stages}
        names = list(STAGES)[0 if "generate" in states else 1 :]
        return next((name for name in names if states.get(name) != COMPLETE), None)


def status_of(folder: Path) -> RunStatus:
    """The status of a run. Nothing is locked, written, or checked against its hash.

    Raises
    ------
    StageError
        The folder is not that of a run.
    """
    with machine_errors(folder):
        found = [name for name in STAGES if (folder / name).is_dir()]
        if not found and not os.path.lexists(folder / LOCK_FILE):
            wanted = "a run's folder, with a folder for each stage"
            raise StageError(f"{folder}: wanted {wanted}, found none. Give the --out of a run.")
        hashes = _hashes_of_parent(folder)
        stages = tuple(_stage(folder / name, hashes) for name in found)
        return RunStatus(folder, stages, lock_holder(folder))


def _hashes_of_parent(folder: Path) -> dict[str, str]:
    """The manifests of the run that a day was appended to, by their names as inputs."""
    link, hashes = Link.read(folder), {}
    if link is not None:
        for name in STAGES:
            with suppress(StageError):
                hashes[PARENT + name] = Manifest.read(link.parent_of(folder) / name).hash
    return hashes


def _stage(folder: Path, hashes: dict[str, str]) -> StageStatus:
    """The status of a stage; `hashes` has the manifests of the stages before, and gets its own."""
    name, size = folder.name, _bytes_in(folder)
    file = folder / MANIFEST_FILE
    if not os.path.lexists(file):
        return StageStatus(name, BEGUN, "it has not ended", (), {}, None, None, size)
    try:
        manifest = Manifest.read(folder)
    except StageError as error:
        return StageStatus(name, DAMAGED, str(error), (), {}, None, None, size)
    hashes[name] = manifest.hash
    again = [one for one, sha256 in manifest.inputs.items() if hashes.get(one) != sha256]
    written = datetime.fromtimestamp(file.stat().st_mtime, timezone.utc)
    return StageStatus(
        stage=name,
        state=OUTDATED if again else COMPLETE,
        why=f"{', '.join(again)} was run again or is gone" if again else "",
        inputs=tuple(manifest.inputs),
        rows=manifest.rows,
        seconds=manifest.seconds,
        finished=written.isoformat(timespec="seconds"),
        bytes=size,
    )


def _bytes_in(folder: Path) -> int:
    """The size of the files in a folder. A stage that works may remove one meanwhile."""
    size = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                size += os.lstat(os.path.join(parent, name)).st_size  # noqa: PTH118 (fast)
            except FileNotFoundError:
                continue
    return size
