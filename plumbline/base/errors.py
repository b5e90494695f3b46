"""Errors that a user can act on.

Every message is one line: what was wanted, what was got, where, and what to do. The commands print
it and exit with status 2; any other exception is a bug of Plumbline and keeps its traceback. An
error that only one package raises is defined in that package.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import ClassVar


class PlumblineError(Exception):
    """Base of all errors caused by the input, the settings or the machine."""


class ConfigError(PlumblineError):
    """The configuration is not usable."""

    @classmethod
    def invalid(cls, file: str, problems: Sequence[str]) -> ConfigError:
        return cls(f"{file}: " + "; ".join(problems))

    @classmethod
    def unreadable(cls, file: str, reason: str) -> ConfigError:
        return cls(f"{file}: wanted a YAML configuration, but {reason}.")


class DataError(PlumblineError):
    """A log, a side table or a split is not usable."""


class StageError(PlumblineError):
    """A stage cannot start, or its earlier output is out of date."""


class MachineError(PlumblineError):
    """A disk is full, a folder is not accessible, memory is short."""


class ArtifactError(PlumblineError):
    """A file that a stage wrote is missing, was changed since, or cannot be read.

    Each subclass is for one kind of artifact and says how to make it again.
    """

    kind: ClassVar[str]
    """What the file should be: `a feature plan`."""
    whole: ClassVar[str]
    """What it belongs to: `the feature plan`."""
    written: ClassVar[str]
    """The event after which it must not change: `the plan was written`."""
    remedy: ClassVar[str]
    """A sentence: `Run the etl stage again.`"""

    @classmethod
    def missing(cls, file: str) -> ArtifactError:
        return cls(f"{file}: missing from {cls.whole}. {cls.remedy}")

    @classmethod
    def damaged(cls, file: str, wanted: str, got: str) -> ArtifactError:
        """`wanted` and `got` are SHA-256 hashes."""
        return cls(
            f"{file}: wanted SHA-256 {wanted[:12]}…, found {got[:12]}…: "
            f"the file was changed after {cls.written}. {cls.remedy}"
        )

    @classmethod
    def unreadable(cls, file: str, reason: str) -> ArtifactError:
        return cls(f"{file}: not {cls.kind}: {reason}. {cls.remedy}")


class PlanError(ArtifactError):
    """A feature plan is damaged, too new, or does not fit the data."""

    kind = "a feature plan"
    whole = "the feature plan"
    written = "the plan was written"
    remedy = "Run the etl stage again."

    @classmethod
    def newer_format(cls, file: str, got: int, supported: int) -> PlanError:
        return cls(
            f"{file}: format version {got}, but this Plumbline reads {supported}. "
            "Upgrade Plumbline, or write the plan with this version."
        )

    @classmethod
    def columns_differ(cls, missing: Iterable[str], unexpected: Iterable[str]) -> PlanError:
        lacking, extra = sorted(missing), sorted(unexpected)
        parts = [f"missing {', '.join(lacking)}"] if lacking else []
        parts += [f"unexpected {', '.join(extra)}"] if extra else []
        return cls("The columns do not fit the feature plan: " + "; ".join(parts) + ".")

    @classmethod
    def wrong_type(cls, column: str, wanted: str, got: str) -> PlanError:
        return cls(f"Column {column!r}: the feature plan wants {wanted}, got {got}.")


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint for a misspelt word: the nearest known one, or all of them.

    >>> nearest("epoch", ["epochs", "batch_size"])
    "did you mean 'epochs'?"
    >>> nearest("x", ["epochs", "batch_size"])
    'known: batch_size, epochs'
    """
    candidates = sorted(known)
    close = difflib.get_close_matches(word, candidates, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(candidates)}"
