"""The outputs of a plan that one native call encodes: look-ups, hashes, and chains of numbers.

What is left, and everything where there is no native module, is run step by step
(`plumbline.features.encoding.encoder`), with the same result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline.base.native import native, uses_native
from plumbline.columns.value_hash import MISSING_HASH
from plumbline.features.encoding.requests import Place, Request
from plumbline.features.lookup.tables import Tables
from plumbline.features.operators import (
    Bucketize,
    Categorify,
    Clip,
    FillMissing,
    HashBucket,
    Interpolate,
    IsMissing,
    Log,
    Normalize,
    NormalizeMinMax,
    Step,
)
from plumbline.features.operators.categorify import NULL_ID, OUT_OF_VOCABULARY_ID
from plumbline.features.plan.chains import Chain
from plumbline.features.plan.plan import OutputColumn

_NUMBER_STEPS = (FillMissing, Clip, Log, Normalize, NormalizeMinMax, IsMissing, Interpolate)


class NativeEncoder:
    """Encodes its `outputs` (a part of the plan's) from requests whose columns are at `places`."""

    def __init__(
        self,
        outputs: Sequence[OutputColumn],
        chains: Sequence[Chain],
        tables: Tables,
        places: Mapping[str, Place],
    ) -> None:
        self._encoder: Any = native.Encoder() if uses_native() else None
        taken = []
        ids = dense = 0
        for output, chain in zip(outputs, chains, strict=True):
            if output.dtype == "int64":
                taken.append(self._add_ids(chain, tables, places, ids))
                ids += 1
            elif output.dtype == "float32":
                taken.append(self._add_dense(chain, places, dense))
                dense += 1
            else:
                taken.append(False)
        self.takes = tuple(taken)
        """Of each output, whether it is encoded here."""
        self._takes_any = any(taken)

    def run(self, request: Request, ids_BF: NDArray[Any], dense_BC: NDArray[np.float32]) -> None:
        """Fill the columns of the outputs that are encoded here; the others are left alone."""
        if self._takes_any:
            texts = [(text.offsets, text.data) for text in request.texts]
            self._encoder.run(request.numbers, request.integers, texts, ids_BF, dense_BC)

    def _add_dense(self, chain: Chain, places: Mapping[str, Place], out: int) -> bool:
        place = self._place(chain, places)
        if place is None or not _are_operations(chain.steps):
            return False
        self._encoder.add_chain(place, _operations(chain.steps), out)
        return True

    def _add_ids(self, chain: Chain, tables: Tables, places: Mapping[str, Place], out: int) -> bool:
        place = self._place(chain, places)
        *before, last = chain.steps
        if place is None or not _are_operations(before):
            return False
        operations = _operations(before)
        if isinstance(last, Bucketize):
            missing = len(last.boundaries)
            self._encoder.add_bucketize(place, operations, last.boundaries, 0, missing, out)
            return True
        if isinstance(last, HashBucket) and place[0] != "numbers":
            missing = MISSING_HASH % last.num_buckets
            self._encoder.add_hash(place, operations, last.num_buckets, 0, missing, out)
            return True
        if isinstance(last, Categorify) and not before:
            index = tables.positions(last.vocabulary, last.sha256, last.index_sha256).index.native
            ids = (last.first_id, NULL_ID, OUT_OF_VOCABULARY_ID, last.num_buckets)
            self._encoder.add_look_up(place, index, *ids, out)
            return True
        return False

    def _place(self, chain: Chain, places: Mapping[str, Place]) -> Place | None:
        """Where the one raw column of a chain stands; None where the native form has none."""
        (source, *others) = chain.sources
        if self._encoder is None or others or not isinstance(source, str):
            return None
        return places.get(source)


def _are_operations(steps: Sequence[Step]) -> bool:
    return all(isinstance(step, _NUMBER_STEPS) for step in steps)


def _operations(steps: Sequence[Step]) -> list[tuple[str, Sequence[float]]]:
    return [(step.op, _numbers(step)) for step in steps]


def _numbers(step: Step) -> Sequence[float]:
    """Two, or those of the points and heights; a bound that is open is NaN."""
    nan = float("nan")
    if isinstance(step, FillMissing):
        return step.value, nan
    if isinstance(step, Clip):
        low, high = step.minimum, step.maximum
        return nan if low is None else low, nan if high is None else high
    if isinstance(step, Normalize):
        return step.mean, step.deviation
    if isinstance(step, NormalizeMinMax):
        return step.minimum, step.maximum
    if isinstance(step, Interpolate):
        return *step.points, *step.heights
    return nan, nan
