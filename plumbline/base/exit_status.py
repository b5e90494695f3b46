"""How a command ends: an error that a user can act on becomes one line on stderr and a status.

This is the only code that turns an exception into an exit status. It needs no package, so it also
runs in the server's image.
"""

from __future__ import annotations

import errno
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from plumbline.base.errors import PlumblineError
from plumbline.base.printable import one_line

USER_ERROR = 2
INTERRUPTED = 130

_MACHINE_ERRNOS = frozenset(
    {
        errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR,
        errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.EMFILE, errno.ENFILE, errno.ELOOP,
    }
)  # fmt: skip
"""Errors of a file system that a user can fix: rights, space, names, too many open files."""


@contextmanager
def exit_status() -> Iterator[None]:
    """Run a command's body, and exit if it raises an error that a user can act on.

    | the body raises | the line | the status |
    |---|---|---|
    | `PlumblineError` | its message | 2 |
    | `OSError`: a disk that is full, read-only or not accessible | file and reason | 2 |
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
    except OSError as error:
        if error.errno not in _MACHINE_ERRNOS:
            raise
        file = f"{error.filename}: " if error.filename is not None else ""
        reason = os.strerror(error.errno) if error.errno else str(error)
        _end(USER_ERROR, "error", f"{file}{reason}.")
    except KeyboardInterrupt as interrupt:
        _end(INTERRUPTED, "interrupted", str(interrupt))


def _reader_of_stdout_has_ended() -> bool:
    stdout = select.poll()
    stdout.register(sys.stdout.fileno(), select.POLLOUT)
    return any(events & select.POLLERR for _, events in stdout.poll(0))


def _end(status: int, label: str, text: str) -> None:
    in_color = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    shown = f"\x1b[31m{label}\x1b[0m" if in_color else label
    sys.stderr.write(f"{shown}: {one_line(text)}\n" if text else f"{shown}\n")
    sys.exit(status)
