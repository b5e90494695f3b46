"""What makes a publish into a live repository one step: a lock, and a journal to undo it from.

Both are files in the repository's folder, where Triton looks at folders only.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from plumbline.base.files import write_json, write_text
from plumbline.serving.contract.live_repository import LiveRepository
from plumbline.serving.contract.versions import CONFIG_FILE
from plumbline.serving.errors import RepositoryError
from plumbline.serving.repository.export import write_config
from plumbline.serving.repository.integrity import VOUCHING_FILE

LOCK_FILE = ".publish.lock"
JOURNAL_FILE = ".publish.json"
FORMAT_VERSION = 1


@contextmanager
def publishing(folder: Path) -> Iterator[None]:
    """The right to change a repository: the system takes it back from a process that ends.

    Raises
    ------
    RepositoryError
        There is no repository, or another process has the right.
    """
    if not folder.is_dir():
        raise RepositoryError(f"{folder}: wanted a model repository, there is no folder.")
    with (folder / LOCK_FILE).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RepositoryError(
                f"{folder}: another publish is going on. Wait for its end, then publish again."
            ) from None
        yield


@dataclass(frozen=True, slots=True)
class Journal:
    """What a repository was before version `number` was begun."""

    folder: Path
    number: str
    configs: Mapping[str, str]
    vouching: str | None
    """The text of the file that vouches for the configs; None where there was none."""

    @classmethod
    def begin(cls, live: LiveRepository, number: str) -> Journal:
        """Write the journal, before anything else is written."""
        vouching = live.folder / VOUCHING_FILE
        text = vouching.read_text(encoding="utf-8") if vouching.is_file() else None
        journal = cls(live.folder, number, live.configs, text)
        write_json(
            live.folder / JOURNAL_FILE,
            {
                "format_version": FORMAT_VERSION,
                "number": number,
                "configs": dict(live.configs),
                "vouching": text,
            },
        )
        return journal

    @classmethod
    def read(cls, folder: Path) -> Journal | None:
        """The journal that was left, None where there is none.

        Raises
        ------
        RepositoryError
            It is not what `begin` writes.
        """
        file = folder / JOURNAL_FILE
        if not file.is_file():
            return None
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            if content.pop("format_version") != FORMAT_VERSION:
                raise ValueError("it is of another format version")
            return cls(folder, **content)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            wanted = "the journal of a publish"
            raise RepositoryError.wrong_content(str(file), wanted, str(error)) from None

    def has_changed(self, model: str) -> bool:
        """Whether its config is another than it was."""
        config = self.folder / model / CONFIG_FILE
        return not config.is_file() or config.read_text(encoding="utf-8") != self.configs[model]

    def restore_config(self, model: str) -> None:
        """A config that is as it was is left alone: Triton takes a new time for a change."""
        if self.has_changed(model):
            write_config(self.folder, model, self.configs[model])

    def restore_vouching(self) -> None:
        file = self.folder / VOUCHING_FILE
        if self.vouching is None:
            file.unlink(missing_ok=True)
        else:
            write_text(file, self.vouching)

    def end(self) -> None:
        (self.folder / JOURNAL_FILE).unlink()
