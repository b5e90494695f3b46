"""Ids from a vocabulary that a graph gives: NVTabular's `Categorify(vocabs=…)`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from plumbline.features.operators.categorify import Categorify, ValueCounts
from plumbline.features.statistics.counting import Counts
from plumbline.features.steps.chains import Source
from plumbline.features.steps.fit_step import FitStep, Target
from plumbline.features.steps.value_types import ValueType


@dataclass(frozen=True, slots=True)
class GivenVocabulary(FitStep[ValueCounts]):
    """A `Categorify` of the distinct `values`, int64 or string (V,), in the order of their ids.

    It counts them in the training rows. `sha256` is that of the values. `shared` is as in
    `FitCategorify`.
    """

    takes = "categories"
    takes_lists = True
    gives = "ids"
    sha256: str
    num_buckets: int
    shared: tuple[Source, ...] | None
    values: pa.Array = field(compare=False, repr=False)

    @property
    def operator(self) -> str:
        return "Categorify(vocabs=…)"

    def fitted_on(self, sources: tuple[Source, ...]) -> tuple[Source, ...]:
        return self.shared or sources

    def accumulator(self, types: Sequence[ValueType]) -> ValueCounts:
        return ValueCounts(types[0].element == "text")

    def fitted(self, accumulated: ValueCounts, target: Target) -> Categorify:
        return self.written(*self.vocabulary(accumulated), target)

    def vocabulary(self, accumulated: ValueCounts) -> tuple[list[pa.Array], Counts]:
        """The values in id order, as the only part, and their counts."""
        (counted,), count = accumulated.vocabulary(1, None)
        position = pc.index_in(self.values, counted.cast(self.values.type)).fill_null(-1)
        return [self.values], np.append(count, 0)[np.asarray(position)]

    def written(
        self,
        parts: Sequence[pa.Array],
        count: NDArray[np.int64],
        target: Target,
        offset: int = 0,
    ) -> Categorify:
        """Write the files of a vocabulary in id order; returns the fitted step."""
        return Categorify.written(
            target.folder,
            target.output,
            parts,
            count,
            frequency_threshold=0,
            limit=len(self.values),
            num_buckets=self.num_buckets,
            sources=target.columns,
            offset=offset,
        )
