"""How a command ends: an error that a user can act on becomes one line on stderr and a status.

This is the only code that turns an exception into an exit status. It needs no package, so it also
runs in the server's image.
"""

from __future__ import annotations

import errno
import os
import re
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from textwrap import shorten

from plumbline.base.errors import MachineError, PlumblineError
from plumbline.base.json_lines import event, writes_json_lines
from plumbline.base.printable import one_line

USER_ERROR = 2
INTERRUPTED = 130

_MACHINE_ERRNOS = frozenset(
    {
        errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO,
        errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY, errno.ENAMETOOLONG,
        errno.ELOOP, errno.EMFILE, errno.ENFILE, errno.ENXIO, errno.ENODEV, errno.EBUSY,
        errno.ESTALE, errno.ENOMEM, errno.EAGAIN,
    }
)  # fmt: skip
"""Errors of the machine that a user can fix: rights, space, names, limits, memory."""
_NATIVE_ERRNO = re.compile(r"\b(?:os error|errno|error code):? (\d+)", re.IGNORECASE)
"""How Rust, Arrow and torch write the number of a system's error in a message of theirs."""
_NATIVE_REASONS = {os.strerror(number): number for number in sorted(_MACHINE_ERRNOS)}
"""How other native code writes it."""
_NATIVE_MEMORY = re.compile(
    "bad_alloc|(out of|not enough|cannot allocate|can't allocate) memory|can't start new thread"
    "|failed to map segment",
    re.IGNORECASE,
)
"""In messages of native code, of CUDA, and of a process whose address space is limited."""


@contextmanager
def exit_status() -> Iterator[None]:
    """Run a command's body, and exit if it raises an error that a user can act on.

    | the body raises | the line | the status |
    |---|---|---|
    | `PlumblineError` | its message | 2 |
    | an error of the machine, such as a full disk; also native code's | file, reason | 2 |
    | `MemoryError`; also native code's | "out of memory" | 2 |
    | `KeyboardInterrupt` | "interrupted", and its message | 130 |
    | `BrokenPipeError`: the reader of stdout has ended, such as `head` | none | 0 |

    Any other exception is a bug of Plumbline and keeps its traceback.
    """
    try:
        yield
    except PlumblineError as error:
        _end(USER_ERROR, "error", str(error))
    except BrokenPipeError:
        if not _reader_of_stdout_has_ended():
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is still buffered
    except Exception as error:
        if (reason := _machine_error(error)) is None:
            raise
        _end(USER_ERROR, "error", reason)
    except KeyboardInterrupt as interrupt:
        _end(INTERRUPTED, "interrupted", str(interrupt))


@contextmanager
def machine_errors(place: Path) -> Iterator[None]:
    """Raises MachineError for an error of the machine in the block, whatever type it has.

    The error names its file if it has one, else `place`: native code does not say where it writes.
    """
    try:
        yield
    except Exception as error:
        if (reason := _machine_error(error, place)) is None:
            raise
        raise MachineError(reason) from error


def _machine_error(error: BaseException, place: Path | None = None) -> str | None:
    """The line about an error of the machine; None for others."""
    if isinstance(error, PlumblineError):
        return None
    text = str(error)
    if isinstance(error, MemoryError) or _NATIVE_MEMORY.search(text):
        detail = "".join(f": {part}" for part in (place, shorten(text, 200)) if part)
        return f"out of memory{detail}. Give the process more memory, or a higher limit of it."
    number = getattr(error, "errno", None) or _native_errno(text)
    if number in _MACHINE_ERRNOS:
        file = getattr(error, "filename", None) or place
        return f"{file}: {os.strerror(number)}." if file else f"{os.strerror(number)}."
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return None if cause is None else _machine_error(cause, place)


def _native_errno(text: str) -> int | None:
    """The number of the system's error that a message names."""
    if found := _NATIVE_ERRNO.search(text):
        return int(found[1])
    return next((number for reason, number in _NATIVE_REASONS.items() if reason in text), None)


def _reader_of_stdout_has_ended() -> bool:
    stdout = select.poll()
    stdout.register(sys.stdout.fileno(), select.POLLOUT)
    return any(events & select.POLLERR for _, events in stdout.poll(0))


def _end(status: int, label: str, text: str) -> None:
    if writes_json_lines():
        with suppress(OSError):
            event("error", text=one_line(f"{label}: {text}" if text else label), status=status)
    elif sys.stderr is not None:
        in_color = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
        shown = f"\x1b[31m{label}\x1b[0m" if in_color else label
        with suppress(OSError):  # stderr may be on the full disk
            sys.stderr.write(f"{shown}: {one_line(text)}\n" if text else f"{shown}\n")
            sys.stderr.flush()
    sys.exit(status)
