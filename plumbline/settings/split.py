"""The settings of `split`: which rows are for training, validation and test."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from plumbline.settings.base import Settings, Share

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_NUMBER = re.compile(r"\s*\d+(?:\.\d+)?\s*", re.ASCII)
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([smhdw])\s*", re.ASCII)
_ROUNDING = 1e-9
"""Rounding error of a sum of shares that is meant to be 1."""


def _seconds(value: Any) -> Any:
    """Seconds from a duration in text; a number is seconds already.

    >>> _seconds("1d 12h"), _seconds("90m"), _seconds(3600)
    (129600.0, 5400.0, 3600)
    """
    if isinstance(value, bool):
        raise ValueError(f"wanted seconds, or text such as 90m, 36h or 1d, got {value}")
    if not isinstance(value, str):
        return value
    if _NUMBER.fullmatch(value):
        return float(value)
    if not value.strip() or _DURATION.sub("", value):
        raise ValueError(f"wanted seconds, or text such as 90s, 90m, 36h, 1d or 2w, got {value!r}")
    return float(sum(float(n) * _UNITS[unit] for n, unit in _DURATION.findall(value)))


Seconds = Annotated[float, BeforeValidator(_seconds), Field(ge=0.0, allow_inf_nan=False)]


class Split(Settings):
    """The settings of all splits."""

    keep_negatives: Share | None = None
    """Share of the non-clicks of the training split that is kept: 0.1 keeps a tenth, drawn by the
    seed and the row's number. None keeps all. The other splits keep all their rows, and scores
    are calibrated for all rows ([splits.md](splits.md))."""

    @model_validator(mode="before")
    @classmethod
    def _refuse_keys_of_other_splits(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for key, by in (("gap", "time"), ("column", "group")):
                if key in data and key not in cls.model_fields:
                    raise ValueError(
                        f"{key} is for a split by {by}, and this one is by {data.get('by')}: "
                        f"leave it out, or set split.by to {by}"
                    )
        return data


class FileSplit(Split):
    """Whole files, by their positions in the list of files, from 0 on."""

    by: Literal["file"]
    """Each file belongs to one split."""
    train: tuple[int, ...] | None = None
    """Positions of the training files; None: all other files. Files in none of the three splits are
    not used."""
    valid: tuple[int, ...]
    """Positions of the validation files."""
    test: tuple[int, ...]
    """Positions of the test files."""

    @model_validator(mode="after")
    def _do_not_overlap(self) -> FileSplit:
        splits = {"train": {*(self.train or ())}, "valid": {*self.valid}, "test": {*self.test}}
        for one, other in (("train", "valid"), ("train", "test"), ("valid", "test")):
            both = sorted(splits[one] & splits[other])
            if both:
                raise ValueError(f"file {both[0]} is in {one} and in {other}")
        if self.train is not None and not self.train:
            raise ValueError("train has no files: leave it out to train on all other files")
        return self


class _Shares(Split):
    """Shares of the rows."""

    train: Share | None = None
    """Share of the training rows; None: all other rows. Rows beyond the three shares are not used:
    the first ones by rows and by time, random ones by hash and by group."""
    valid: Share
    """Share of the validation rows."""
    test: Share
    """Share of the test rows."""

    @model_validator(mode="after")
    def _fit_into_the_rows(self) -> _Shares:
        if self.valid + self.test >= 1.0:
            raise ValueError(f"valid {self.valid} and test {self.test} leave no rows to train on")
        together = (self.train or 0.0) + self.valid + self.test
        if together > 1.0 + _ROUNDING:
            raise ValueError(
                f"train {self.train}, valid {self.valid} and test {self.test} are {together:.6g} "
                "of the rows together: wanted at most 1"
            )
        return self

    @property
    def train_share(self) -> float | None:
        """The share of the training rows; None for all rows that are in no other split."""
        if self.train is None or self.train + self.valid + self.test >= 1.0 - _ROUNDING:
            return None
        return self.train


class ShareSplit(_Shares):
    """Shares of the rows in their order, the test split last; or at random, each row by a hash of
    its number and the seed."""

    by: Literal["rows", "hash"]
    """rows: in order, with the last rows as test split. hash: each row at random."""


class TimeSplit(_Shares):
    """Shares of the rows by the log's column of kind time, the newest in the test split. Rows of
    one time stay in their order."""

    by: Literal["time"]
    """The newest rows are the test split."""
    column: str | None = None
    """The column of kind time; None: the only one of the log."""
    gap: Seconds = 0.0
    """Gap before validation and before test: seconds, or text such as 90m, 36h or 1d. Rows within
    this time before the first validation row, or the first test row, are in no split."""


class GroupSplit(_Shares):
    """Shares of the values of a column: all rows of a value are in one split, by a hash of the
    value and the seed."""

    by: Literal["group"]
    """All rows of one value, such as one user, are in one split."""
    column: str
    """A column of the log with single values, such as a user: a feature, or a column of kind
    unused, whose text is then read for the split only. A row without a value is a group of its
    own."""
