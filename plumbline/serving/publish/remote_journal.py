"""The journal of a publish into an object store, which also keeps other publishes out.

It is an object that only one publish can create. It has the small files of before, from which a
publish that failed or was killed is rolled back.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from plumbline.base.json_fields import from_json
from plumbline.base.json_text import parse_json
from plumbline.serving.errors import RepositoryError
from plumbline.serving.publish.live_repository import JOURNAL_FILE
from plumbline.serving.publish.remote_files import RemoteFiles

GIVEN_UP_SECONDS = 24 * 3600
"""After this time, a publish of another machine counts as killed."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """The content of the object."""

    host: str
    process: int
    started: int
    """Seconds since 1970."""
    before: Mapping[str, str] | None
    """Name to content of the small files; null until they have been read."""

    @classmethod
    def of(cls, files: RemoteFiles) -> _Kept | None:
        """The journal in a store, or None.

        Raises
        ------
        RepositoryError
            The object was not written by `RemoteJournal`.
        """
        content = files.get(JOURNAL_FILE)
        if content is None:
            return None
        try:
            return from_json(cls, parse_json(content.decode()))
        except (ValueError, TypeError, AttributeError) as error:
            wanted = "the journal of a publish"
            raise RepositoryError.wrong_content(
                files.url(JOURNAL_FILE), wanted, str(error)
            ) from None

    @property
    def may_run(self) -> bool:
        """Whether the publish may still be running."""
        if self.host == socket.gethostname():
            return Path(f"/proc/{self.process}").exists()
        return time.time() - self.started < GIVEN_UP_SECONDS

    @property
    def content(self) -> bytes:
        return json.dumps(asdict(self)).encode()


@dataclass(frozen=True, slots=True)
class RemoteJournal:
    """The state of a repository before a publish."""

    files: RemoteFiles
    names: Sequence[str]
    """The small files, in the order in which a publish replaces them."""
    before: Mapping[str, bytes]
    """Name to content of those that there were."""

    @classmethod
    def begin(
        cls, files: RemoteFiles, names: Sequence[str], report: Callable[[str], None]
    ) -> RemoteJournal:
        """Write the journal, after rolling back a publish that was killed.

        Raises
        ------
        RepositoryError
            Another publish is running, or may be.
        """
        kept = _Kept(socket.gethostname(), os.getpid(), int(time.time()), None)
        while not files.create(JOURNAL_FILE, kept.content):
            other = _Kept.of(files)
            if other is None:
                continue  # it has just ended
            if other.may_run:
                raise RepositoryError(
                    f"{files.url(JOURNAL_FILE)}: another publish is running, process "
                    f"{other.process} on {other.host}. Wait until it ends, then publish again. "
                    f"If it was killed, publish on {other.host}, or {GIVEN_UP_SECONDS // 3600} "
                    "hours later anywhere."
                )
            report("a publish was killed: rolled back")
            before = {name: text.encode() for name, text in (other.before or {}).items()}
            killed = cls(files, names if other.before is not None else (), before)
            killed.roll_back()
        found = {name: files.get(name) for name in names}
        before = {name: content for name, content in found.items() if content is not None}
        texts = {name: content.decode() for name, content in before.items()}
        files.put(JOURNAL_FILE, replace(kept, before=texts).content)
        return cls(files, names, before)

    def roll_back(self) -> None:
        """Put the small files back in the opposite order, those that have changed, and close.

        The files of the new version stay, unlisted: the next publish removes them.
        """
        for name in reversed(self.names):
            wanted = self.before.get(name)
            if wanted is None:
                self.files.remove([name])
            elif self.files.get(name) != wanted:
                self.files.put(name, wanted)
        self.close()

    def close(self) -> None:
        self.files.remove([JOURNAL_FILE])
