"""Ids without a vocabulary: the hash of a value modulo the number of buckets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plumbline.base.json_fields import Positive
from plumbline.columns.value_hash import modulo, value_hash
from plumbline.columns.values import Lists, Values
from plumbline.features.lookup.tables import Tables
from plumbline.features.steps.native_nodes import NativeNode, NativeNodes
from plumbline.features.steps.step import Apply, IdStep


@dataclass(frozen=True, slots=True)
class HashBucket(IdStep):
    """hash64(value) modulo `num_buckets`; for lists, of each value."""

    op = "hash_bucket"
    takes_lists = True
    num_buckets: Positive

    @property
    def ids(self) -> int:
        return self.num_buckets

    def apply(self, values: Values) -> NDArray[np.int64] | Lists:
        if isinstance(values, Lists):
            return Lists(modulo(value_hash(values.values), self.num_buckets), values.offsets)
        return modulo(value_hash(values), self.num_buckets)

    def bind(self, tables: Tables) -> Apply:
        return self.apply

    def native(
        self, nodes: NativeNodes, sources: Sequence[NativeNode], tables: Tables
    ) -> NativeNode:
        return nodes.hash_bucket(self.num_buckets, sources)
