"""The run that a day is appended to, as the new run's `append.json` names it.

The new run only reads its parent's folder. The file is written before the first stage, so every
command finds the parent by the run's folder.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path

from plumbline.base.errors import PlumblineError, StageError
from plumbline.base.manifest import MANIFEST_FILE
from plumbline.base.sealed_json import read_sealed, write_sealed
from plumbline.settings import Config, GroupSplit, ShareSplit
from plumbline.stages.run import RequestedEngine

LINK_FILE = "append.json"
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Link:
    """The content of `append.json`."""

    parent: str
    """The parent's folder, relative to the run's."""
    day: int
    """The number of days that were appended, this one included."""
    content: tuple[str, ...]
    """SHA-256 of each file of the day."""
    earlier: tuple[str, ...]
    """SHA-256 of each file of the days that were appended before."""

    @classmethod
    def read(cls, folder: Path) -> Link | None:
        """None for a run of its own; raises StageError for a file that is not readable."""
        file = folder / LINK_FILE
        if not os.path.lexists(file):
            return None
        try:
            content = read_sealed(file, FORMAT_VERSION)
            return cls(
                str(content["parent"]),
                int(content["day"]),
                tuple(content["content"]),
                tuple(content["earlier"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise StageError(
                f"{file}: not the link of an appended run: {error}. Remove the folder, and append "
                "the day again."
            ) from None

    def parent_of(self, folder: Path) -> Path:
        """The parent's folder, from that of the run that has this link."""
        return Path(os.path.normpath(folder / self.parent))

    def write(self, folder: Path) -> None:
        write_sealed(folder / LINK_FILE, {"format_version": FORMAT_VERSION, **asdict(self)})


def next_folder(parent: Path) -> Path:
    """The default folder of a day, beside the parent: `shop+1` after `shop`, then `shop+2`."""
    link = Link.read(parent)
    name = parent.resolve().name
    if link is None:
        return parent.parent / f"{name}+1"
    return parent.parent / f"{name.removesuffix(f'+{link.day}')}+{link.day + 1}"


def first_of(run: Path) -> Path:
    """The folder of the run of its own that a run's days were appended to, one after the other."""
    while (link := Link.read(run)) is not None:
        run = link.parent_of(run)
    return run


def parent_of(folder: Path, append_to: Path | None) -> Path | None:
    """The parent of the run in `folder`; `append_to` is that of a new one.

    Raises
    ------
    StageError
        The run in the folder has another parent, or none.
    """
    link = Link.read(folder)
    if link is None:
        if append_to is None:
            return None
        if append_to.resolve() == folder.resolve():
            raise StageError(
                f"--append-to {append_to}: that is the new run itself. Give another --out."
            )
        if os.path.lexists(folder / "ingest" / MANIFEST_FILE):
            raise StageError(
                f"{folder}: holds a run that was not appended to {append_to}. Give another --out."
            )
        return append_to
    parent = link.parent_of(folder)
    if append_to is not None and append_to.resolve() != parent.resolve():
        raise StageError(
            f"{folder}: holds a day that was appended to {parent}, not to {append_to}. Give "
            "another --out."
        )
    if not parent.is_dir():
        raise StageError(
            f"{folder}: its day was appended to {parent}, where no run is any more. Move the two "
            "folders together."
        )
    return parent


def config_of_day(config: Config) -> Config:
    """The configuration for the rows of a day: they are split by themselves, and not drawn."""
    split = config.split
    shares = config.append
    if not isinstance(split, GroupSplit):
        split = ShareSplit(
            by="hash",
            valid=shares.valid,
            test=shares.test,
            keep_negatives=split.keep_negatives,
        )
    log = config.log.model_copy(update={"files": ()})
    return config.model_copy(update={"click_model": None, "split": split, "log": log})


def engine_of_day(
    engine: RequestedEngine, scheduler: str | None, master: str | None = None
) -> RequestedEngine:
    """The engine that fits and encodes a day.

    Raises
    ------
    PlumblineError
        Another engine than the native one was asked for, or its cluster.
    """
    asked = [
        *([] if scheduler is None else [f"--scheduler {scheduler}"]),
        *([] if master is None else [f"--master {master}"]),
        *([f"--engine {engine}"] if engine in ("nvtabular", "spark") else []),
    ]
    if asked:
        raise PlumblineError(
            f"{asked[0]}: a day is appended by the native engine, to runs of all engines. "
            "Leave the option out."
        )
    return "native"
