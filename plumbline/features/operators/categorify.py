"""A category becomes an id: 0 padding, 1 null, then out of vocabulary, then the vocabulary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from plumbline.columns.keys import is_all_missing
from plumbline.columns.value_hash import combined_hash, modulo
from plumbline.columns.values import Lists, Values
from plumbline.features.operators.step import Apply, IdStep

if TYPE_CHECKING:
    from plumbline.features.lookup.tables import Positions, Tables

PADDING_ID = 0
NULL_ID = 1
OUT_OF_VOCABULARY_ID = 2


@dataclass(frozen=True, slots=True)
class Categorify(IdStep):
    """Ids follow NVTabular: the vocabulary by count descending, on ties by value ascending.

    A value that is not in it has id 2, or one of `num_buckets` ids from 2 on, by its hash. Of
    several sources each combination of values is one; it is null where all of its parts are. Of
    lists each value gets an id.

    `frequency_threshold` and `limit` (the number of values that were kept at most) say how the
    vocabulary was chosen. `vocabulary` is the file inside the plan folder that holds value, id and
    count, `sha256` its hash; `index_sha256` is that of the look-up index beside it.
    """

    op = "categorify"
    frequency_threshold: int
    limit: int | None
    num_buckets: int
    cardinality: int
    vocabulary: str
    sha256: str
    index_sha256: str

    @property
    def ids(self) -> int:
        return self.cardinality

    @property
    def first_id(self) -> int:
        """The id of the vocabulary's first value."""
        return OUT_OF_VOCABULARY_ID + self.num_buckets

    def bind(self, tables: Tables) -> Apply:
        positions = tables.positions(self.vocabulary, self.sha256, self.index_sha256)

        def apply(*values: Values) -> NDArray[np.int64] | Lists:
            if len(values) == 1 and isinstance(values[0], Lists):
                lists = values[0]
                return Lists(self._ids(positions, (lists.values,)), lists.offsets)
            return self._ids(positions, values)

        return apply

    def _ids(self, positions: Positions, values: tuple[Values, ...]) -> NDArray[np.int64]:
        ids_B = positions(*values)
        unknown_B = np.flatnonzero(ids_B < 0)
        ids_B += self.first_id
        ids_B[unknown_B] = OUT_OF_VOCABULARY_ID
        if self.num_buckets > 1:
            ids_B[unknown_B] += modulo(combined_hash(values), self.num_buckets)[unknown_B]
        ids_B[is_all_missing(values)] = NULL_ID
        return ids_B
