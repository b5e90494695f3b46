"""Proposes a split: by time if each part then has clicks, else at random."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from plumbline.rawlogs.inspect import names
from plumbline.rawlogs.inspect.column import Column
from plumbline.rawlogs.inspect.kinds import Guess
from plumbline.rawlogs.inspect.label import LabelGuess

VALID, TEST = 0.1, 0.2
_LEAST_CLICKS = 10
"""Rows of each class that each split needs in the sample."""
_ROWS_A_USER = 3.0


@dataclass(frozen=True, slots=True)
class SplitGuess:
    by: Literal["time", "hash"]
    why: str
    user: str | None
    """A column of users with several rows each: a split by it tests on new users."""


def guess_split(
    columns: Mapping[str, Column], guesses: Mapping[str, Guess], time: str | None, label: LabelGuess
) -> SplitGuess:
    """`columns` are those of the file; `guesses` has those of folders' names too."""
    user = _user(columns, guesses)
    if time is None:
        return SplitGuess("hash", "each row by itself: there is no time to split by", user)
    seconds = guesses[time].times
    if seconds is None or columns[time].missing > 0:
        return SplitGuess("hash", f"each row by itself: {time!r} is missing in some rows", user)
    order = np.argsort(seconds.seconds.to_numpy(), kind="stable")
    clicks = label.is_click[order]
    bounds = [0, round(len(clicks) * (1 - VALID - TEST)), round(len(clicks) * (1 - TEST))]
    for start, end in zip(bounds, [*bounds[1:], len(clicks)], strict=True):
        part = clicks[start:end]
        if min(part.sum(), len(part) - part.sum()) < _LEAST_CLICKS:
            why = f"each row by itself: by {time!r} a part would have hardly any clicks"
            return SplitGuess("hash", why, user)
    return SplitGuess("time", f"by {time!r}: the last rows are the test", user)


def time_column(columns: Mapping[str, Column], guesses: Mapping[str, Guess]) -> str | None:
    """The time column for a split: without missing values, and not constant."""
    usable = [
        name
        for name, guess in guesses.items()
        if guess.kind == "time" and columns[name].missing == 0 and columns[name].distinct > 1
    ]
    early = [name for name in usable if not names.is_known_afterwards(name)]
    return next(iter(early or usable), None)


def _user(columns: Mapping[str, Column], guesses: Mapping[str, Guess]) -> str | None:
    for name, found in columns.items():
        is_feature = guesses[name].kind in ("integer", "hex", "string")
        several = found.distinct > 1 and len(found.present) >= _ROWS_A_USER * found.distinct
        if is_feature and names.is_user(name) and found.distinct >= 20 and several:
            return name
    return None
