"""The differences from NVTabular that docs/operators.md names, as they are found in a case."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from plumbline.features.operators.hash_bucket import HashBucket
from plumbline.features.operators.hashed_cross import HashedCross
from plumbline.features.operators.log import Log
from plumbline.features.operators.normalize import Normalize
from plumbline.features.operators.single_table import FitSingleTable
from plumbline.features.operators.target_encoding import FitTargetEncoding
from plumbline.features.steps.chains import Chain
from plumbline.features.steps.step import AnyStep

EPSILON, TINY = float(np.finfo(np.float32).eps), float(np.finfo(np.float32).tiny)


@dataclass(frozen=True, slots=True)
class Difference:
    """An output column that differs from NVTabular's, and where."""

    chain: Chain
    """What computes it, not fitted: its steps are those of the graph before the column."""
    fitted: Chain
    """The same, as the compared plan has it."""
    rows: NDArray[np.bool_]
    """The rows that differ."""
    raw: pa.Table
    """The typed raw columns."""
    theirs: pd.Series
    ours: pa.ChunkedArray

    def steps(self, *types: type) -> Iterator[Any]:
        """The steps of these types before the column."""
        return (step for step in _steps(self.chain) if isinstance(step, types))

    def is_missing(self) -> NDArray[np.bool_]:
        """The rows that have a missing value in a column before this one, or one in a list."""
        missing = np.zeros(len(self.rows), np.bool_)
        for name in self.chain.columns:
            values = self.raw[name].to_pylist()
            missing |= [v is None or (isinstance(v, list) and None in v) for v in values]
        return missing


def _steps(chain: Chain) -> Iterator[AnyStep]:
    for source in chain.sources:
        if isinstance(source, Chain):
            yield from _steps(source)
    yield from chain.steps


def _hashes(d: Difference) -> bool:
    return any(d.steps(HashBucket, HashedCross))


def _folds(d: Difference) -> bool:
    return any(step.folds > 1 for step in d.steps(FitTargetEncoding))


def _single_table(d: Difference) -> bool:
    """Known values have other ids, one for one."""
    known = d.rows & ~d.is_missing()
    ids = zip(d.theirs[known].tolist(), d.ours.to_numpy()[known].tolist(), strict=True)
    pairs = {*ids}
    one_to_one = len({one for one, _ in pairs}) == len({two for _, two in pairs}) == len(pairs)
    return any(d.steps(FitSingleTable)) and one_to_one


def _float32(d: Difference) -> bool:
    """NVTabular adds up logarithms in float32, and subtracts the square of the sum."""
    normalized = [step for step in d.fitted.every_step() if isinstance(step, Normalize)]
    if len(normalized) != 1 or not any(d.steps(Log)):
        return False
    (step,) = normalized
    theirs, ours = d.theirs.to_numpy(np.float64), np.asarray(d.ours, np.float64)
    spread = 1 + abs(step.mean) / max(step.deviation, TINY)
    rounding = EPSILON * (2 * spread + spread**2 * np.abs(ours))
    return bool((np.abs(theirs - ours) <= rounding)[d.rows].all())


REASONS: Mapping[str, Callable[[Difference], bool]] = {
    "hashes are mixed with the row's number": _hashes,
    "target encoding draws folds for every frame": _folds,
    "columns of a single table have no ids of their own for null": _single_table,
    "logarithms are added up in float32": _float32,
}
"""The name of a documented difference, and whether it explains this one."""


def reason_of(difference: Difference) -> str | None:
    """The name of the first documented difference that explains this one; None without any."""
    return next((name for name, holds in REASONS.items() if holds(difference)), None)
