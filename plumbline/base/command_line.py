"""The command line of this process, as a user may type it again."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

_BEGINS_AGAIN = {"--force": 0, "--from": 1}
"""Options that run complete stages again, with their numbers of values."""


def interrupted() -> KeyboardInterrupt:
    """What Ctrl-C raises in a run: it says how the run goes on."""
    return KeyboardInterrupt(f"complete stages stay; it goes on with: {goes_on()}")


def goes_on(arguments: Sequence[str] | None = None) -> str:
    """The command with which an interrupted run goes on, by default that of this process.

    >>> goes_on(["/env/bin/plumbline", "run", "--data", "my log.csv", "--from", "etl"])
    "plumbline run --data 'my log.csv'"
    >>> goes_on(["pipelines/etl.py", "--force", "--out", "runs/a"])
    'python pipelines/etl.py --out runs/a'
    """
    program, *words = sys.argv if arguments is None else arguments
    is_script = program.endswith(".py") and Path(program).name != "__main__.py"
    kept = ["python", program] if is_script else ["plumbline"]
    rest = iter(words)
    for word in rest:
        if (values := _BEGINS_AGAIN.get(word.partition("=")[0])) is None:
            kept.append(word)
        elif values and "=" not in word:
            next(rest, None)
    return shlex.join(kept)
