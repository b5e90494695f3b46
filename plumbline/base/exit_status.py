"""How a command ends: what a user can act on is one line on the standard error, and a status.

The only place that turns an exception into an exit status. It needs no package, so the server's
image has it too.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from plumbline.base.errors import PlumblineError
from plumbline.base.plain_text import one_line

USER_ERROR = 2
INTERRUPTED = 130

_OF_THE_MACHINE = frozenset(
    {
        errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR,
        errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.EMFILE, errno.ENFILE, errno.ELOOP,
    }
)  # fmt: skip
"""What a file system refuses, and a person can mend: rights, room, names, too many open files."""


@contextmanager
def exit_status() -> Iterator[None]:
    """Run a command's body, and end the process where it raises what a user can act on.

    | the body raises | the line | the status |
    |---|---|---|
    | `PlumblineError` | its message | 2 |
    | `OSError` of a disk that is full, read-only or closed to this user | file and reason | 2 |
    | `KeyboardInterrupt` | "interrupted", and what it says | 130 |

    All else is a fault of ours, and keeps its traceback.
    """
    try:
        yield
    except PlumblineError as error:
        _end(USER_ERROR, "error", str(error))
    except OSError as error:
        if error.errno not in _OF_THE_MACHINE:
            raise
        file = f"{error.filename}: " if error.filename is not None else ""
        reason = os.strerror(error.errno) if error.errno else str(error)
        _end(USER_ERROR, "error", f"{file}{reason}.")
    except KeyboardInterrupt as interrupt:
        _end(INTERRUPTED, "interrupted", str(interrupt))


def _end(status: int, label: str, text: str) -> None:
    in_color = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    shown = f"\x1b[31m{label}\x1b[0m" if in_color else label
    sys.stderr.write(f"{shown}: {one_line(text)}\n" if text else f"{shown}\n")
    sys.exit(status)
