"""Log records and warnings of libraries go into a file, not to a person's screen."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FORM = "%(asctime)s %(levelname)s %(name)s: %(message)s"


@contextmanager
def library_log(file: Path) -> Iterator[None]:
    """Inside, log records and Python's warnings are appended to a file, and to nothing else.

    The file is made with the first of them. If it cannot be written, all stays as it was: a log is
    no reason to fail.
    """
    root = logging.getLogger()
    before = list(root.handlers)
    handler = _Appended(file, before)
    handler.setFormatter(logging.Formatter(FORM))
    root.handlers[:] = [handler]
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        root.handlers[:] = before
        with suppress(OSError):
            handler.close()


def library_log_file() -> Path | None:
    """The file that log records go to now, or None: processes that are started may append to it."""
    handlers = (h for h in logging.getLogger().handlers if isinstance(h, _Appended))
    return next((Path(handler.baseFilename) for handler in handlers), None)


class _Appended(logging.FileHandler):
    """Falls back to other handlers for good if the file cannot be opened or written."""

    def __init__(self, file: Path, otherwise: list[logging.Handler]) -> None:
        super().__init__(file, encoding="utf-8", delay=True)
        self._otherwise = otherwise
        self._is_broken = False

    def emit(self, record: logging.LogRecord) -> None:
        if not self._is_broken:
            try:
                super().emit(record)
            except OSError:
                self._is_broken = True
        if self._is_broken:
            for handler in self._otherwise:
                handler.handle(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """A full disk breaks the log; an error of the record itself is the library's."""
        if isinstance(sys.exc_info()[1], OSError):
            self._is_broken = True
        else:
            super().handleError(record)
