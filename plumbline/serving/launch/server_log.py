"""Find in Triton's log why it did not start."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

_MODEL = re.compile(r"failed to load '(?P<model>[^']+)' version \d+: (?:Internal: )?(?P<cause>.*)")
_LINE = re.compile(r'^E\d{4} [\d:.]+ +\d+ \S+\] +(?P<text>".*")$')
_HARMLESS = "CudaDriverHelper"
"""In every log on a machine without a CUDA driver."""
_JOINS = "; "
_LONGEST = 1000
_LAST = 3
_SHOWN = 200


def cause_of_failure(log: Path) -> str:
    """The first model that failed, and why; else the last error; else the last line. One line.

    Triton joins the errors of a batch's requests; one that repeats is given once.

    >>> cause_of_failure(Path("/nowhere"))
    'it wrote no log'
    """
    return _shortened(_cause(log))


def _cause(log: Path) -> str:
    lines = _lines(log)
    errors = list(_errors(lines))
    for error in errors:
        match = _MODEL.match(error)
        if match is not None:
            return f"model {match['model']!r}: {match['cause']}"
    return [*lines[-1:], *errors][-1] if lines else "it wrote no log"


def _shortened(text: str) -> str:
    once = ""
    for part in (part.strip("; ") for part in text.split(_JOINS)):
        if part not in once:
            once += f"{_JOINS}{part}" if once else part
    return once if len(once) <= _LONGEST else f"{once[:_LONGEST]}…"


def last_lines(log: Path) -> str:
    """The end of the log, in one line.

    >>> last_lines(Path("/nowhere"))
    'it wrote no log'
    """
    lines = [line for line in _lines(log) if _HARMLESS not in line]
    return " / ".join(line[:_SHOWN] for line in lines[-_LAST:]) or "it wrote no log"


def _lines(log: Path) -> list[str]:
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def _errors(lines: list[str]) -> Iterator[str]:
    for line in lines:
        match = _LINE.match(line)
        if match is not None and _HARMLESS not in line:
            yield _one_line(match["text"])


def _one_line(quoted: str) -> str:
    """The message without its Python traceback."""
    try:
        message = str(json.loads(quoted))
    except ValueError:
        message = quoted.strip('"')
    return " ".join(message.split("\n\nAt:")[0].split())
