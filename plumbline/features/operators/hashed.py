"""Ids without a vocabulary: the hash of a value, or of several together, modulo a number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from plumbline.columns.value_hash import combined_hash, modulo, value_hash
from plumbline.columns.values import Lists, Values
from plumbline.features.operators.step import Apply, IdStep

if TYPE_CHECKING:
    from plumbline.features.lookup.tables import Tables


@dataclass(frozen=True, slots=True)
class HashBucket(IdStep):
    """hash64(value) modulo `num_buckets`, of lists for each of their values."""

    op = "hash_bucket"
    num_buckets: int

    @property
    def ids(self) -> int:
        return self.num_buckets

    def apply(self, values: Values) -> NDArray[np.int64] | Lists:
        if isinstance(values, Lists):
            return Lists(modulo(value_hash(values.values), self.num_buckets), values.offsets)
        return modulo(value_hash(values), self.num_buckets)

    def bind(self, tables: Tables) -> Apply:
        return self.apply


@dataclass(frozen=True, slots=True)
class HashedCross(IdStep):
    """The hashes of several columns' values combined by exclusive or, modulo `num_buckets`."""

    op = "hashed_cross"
    num_buckets: int

    @property
    def ids(self) -> int:
        return self.num_buckets

    def apply(self, *values: Values) -> NDArray[np.int64]:
        return modulo(combined_hash(values), self.num_buckets)

    def bind(self, tables: Tables) -> Apply:
        return self.apply
