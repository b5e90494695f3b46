"""Ids of combined columns without a vocabulary, by the hashes of their values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plumbline.base.json_fields import Positive
from plumbline.columns.value_hash import combined_hash, modulo
from plumbline.columns.values import Values
from plumbline.features.lookup.tables import Tables
from plumbline.features.steps.native_nodes import NativeNode, NativeNodes
from plumbline.features.steps.step import SEVERAL, Apply, IdStep


@dataclass(frozen=True, slots=True)
class HashedCross(IdStep):
    """The exclusive or of the values' hashes, modulo `num_buckets`."""

    op = "hashed_cross"
    num_buckets: Positive

    @property
    def arity(self) -> range:
        return SEVERAL

    @property
    def ids(self) -> int:
        return self.num_buckets

    def apply(self, *values: Values) -> NDArray[np.int64]:
        return modulo(combined_hash(values), self.num_buckets)

    def bind(self, tables: Tables) -> Apply:
        return self.apply

    def native(
        self, nodes: NativeNodes, sources: Sequence[NativeNode], tables: Tables
    ) -> NativeNode:
        return nodes.hash_bucket(self.num_buckets, sources)
