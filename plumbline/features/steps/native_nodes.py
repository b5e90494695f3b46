"""The nodes of a native encoder, which steps add themselves to.

A node computes a column from those of other nodes. Nodes of the same computation are one, so what
several outputs need is computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from plumbline.base.native import native
from plumbline.columns.values import Text
from plumbline.features.lookup.index import TextIndex
from plumbline.features.lookup.tables import Positions

if TYPE_CHECKING:
    from plumbline._native import Encoder, Index

Tensor: TypeAlias = Literal["numbers", "doubles", "integers", "texts"]

Position: TypeAlias = tuple[Tensor, int, int]
"""The position of a column in a request: kind of tensor, index of the tensor, column in it."""

UNUSED = float("nan")
"""Fills up the operands of an operation, which are at least two."""


@dataclass(frozen=True, slots=True)
class NativeNode:
    """A node by its number in the encoder, and whether its column is text."""

    number: int
    is_text: bool = False


class NativeNodes:
    """Adds nodes to a native encoder."""

    def __init__(self) -> None:
        self.encoder: Encoder = native.Encoder()
        self._numbers: dict[tuple[Hashable, ...], int] = {}

    def raw_column(self, position: Position) -> NativeNode:
        number = self._add(self.encoder.raw_column, *position)
        return NativeNode(number, position[0] == "texts")

    def operation(self, op: str, operands: Sequence[float], source: NativeNode) -> NativeNode:
        """The native operation `op` on the source as numbers: float64."""
        return self._node(self.encoder.operation, op, tuple(operands), source.number)

    def bucketize(self, boundaries: Sequence[float], source: NativeNode) -> NativeNode:
        """The number of boundaries at or below the source; all of them if it is missing: int64."""
        return self._node(self.encoder.bucketize, tuple(boundaries), source.number)

    def hash_bucket(self, buckets: int, parts: Sequence[NativeNode]) -> NativeNode:
        """The combined hash of the parts modulo `buckets`: int64."""
        return self._node(self.encoder.hash_bucket, buckets, _numbers_of(parts))

    def positions(self, positions: Positions, parts: Sequence[NativeNode]) -> NativeNode:
        """The positions of a key of integers or text in an index, or -1: int64."""
        return self._node(self.encoder.look_up, _native_of(positions), self._key(positions, parts))

    def ids(
        self,
        positions: Positions,
        parts: Sequence[NativeNode],
        *,
        first: int,
        null: int,
        unseen: int,
        unseen_slots: int,
    ) -> NativeNode:
        """The ids of a key of integers or text by its positions in an index: int64.

        Positions have ids from `first` on. A key with all parts missing has the id `null`, any
        other without a position `unseen`, or one of `unseen_slots` from it on, by its hash.
        """
        return self._node(
            self.encoder.look_up_ids,
            _native_of(positions),
            first,
            null,
            unseen,
            unseen_slots,
            self._key(positions, parts),
            _numbers_of(parts),
        )

    def numbers_at(
        self,
        positions: NativeNode,
        parts: Sequence[NativeNode],
        values: NDArray[np.float64],
        *,
        null: float,
        unseen: float,
    ) -> NativeNode:
        """The numbers at positions of the key: float64.

        A key with all parts missing has `null`, any other without a position `unseen`.
        """
        number = self.encoder.numbers_at(values, null, unseen, positions.number, _numbers_of(parts))
        return NativeNode(number)

    def integers_at(
        self,
        positions: NativeNode,
        parts: Sequence[NativeNode],
        values: NDArray[np.int64],
        *,
        null: int,
    ) -> NativeNode:
        """The integers at positions of the key: int64.

        A key with all parts missing has `null`; any other without a position is missing.
        """
        number = self.encoder.integers_at(values, null, positions.number, _numbers_of(parts))
        return NativeNode(number)

    def texts_at(
        self, positions: NativeNode, parts: Sequence[NativeNode], values: Text, *, null: str
    ) -> NativeNode:
        """The same of texts."""
        offsets, data, key = values.offsets, values.data, _numbers_of(parts)
        number = self.encoder.texts_at(offsets, data, null.encode(), positions.number, key)
        return NativeNode(number, is_text=True)

    def fill_key(self, value: int | str, source: NativeNode) -> NativeNode:
        """The source with `value` for what is missing: int64 or text."""
        if isinstance(value, str):
            number = self._add(self.encoder.fill_texts, value.encode(), source.number)
            return NativeNode(number, is_text=True)
        return self._node(self.encoder.fill_integers, value, source.number)

    def date_part(self, part: str, offset: int, times: NativeNode) -> NativeNode:
        """A part of each time: int64."""
        return self._node(self.encoder.date_part, part, offset, times.number)

    def seconds(self, since: int, times: Sequence[NativeNode]) -> NativeNode:
        """From the first time to the second, or from `since` to the only one: float64."""
        return self._node(self.encoder.seconds, since, _numbers_of(times))

    def arithmetic(
        self, operation: str, constant: float, by_zero: float, sources: Sequence[NativeNode]
    ) -> NativeNode:
        """Of both sources, or of the only one and `constant`: float64."""
        numbers = _numbers_of(sources)
        return self._node(self.encoder.arithmetic, operation, constant, by_zero, numbers)

    def compare(self, relation: str, constant: float | int, source: NativeNode) -> NativeNode:
        """1.0 or 0.0; integers are compared exactly if the constant is an int: float64."""
        if isinstance(constant, int):
            return self._node(self.encoder.compare_integers, relation, constant, source.number)
        return self._node(self.encoder.compare_numbers, relation, constant, source.number)

    def range_ids(self, first: int, last: int, source: NativeNode) -> NativeNode:
        """The ids of integers from a range: int64."""
        return self._node(self.encoder.range_ids, first, last, source.number)

    def set_outputs(self, ids: Mapping[int, NativeNode], numbers: Mapping[int, NativeNode]) -> None:
        """Set the node of each column of ids and of numbers, by its index."""
        self.encoder.set_outputs(
            [(node.number, column) for column, node in ids.items()],
            [(node.number, column) for column, node in numbers.items()],
        )

    def _key(self, positions: Positions, parts: Sequence[NativeNode]) -> int:
        """The node that is looked up: the only part, or the parts packed into a text."""
        if len(parts) == 1 and parts[0].is_text == isinstance(positions.index, TextIndex):
            return parts[0].number
        return self._add(self.encoder.key, _numbers_of(parts))

    def _node(self, add: Callable[..., int], *arguments: Any) -> NativeNode:
        return NativeNode(self._add(add, *arguments))

    def _add(self, add: Callable[..., int], *arguments: Any) -> int:
        """The number of the node that `add` makes of hashable arguments, made once."""
        key = (add.__name__, *arguments)
        if key not in self._numbers:
            self._numbers[key] = add(*arguments)
        return self._numbers[key]


def _native_of(positions: Positions) -> Index:
    if positions.index.native is None:
        raise TypeError("the native encoder wants a native index")
    return positions.index.native


def _numbers_of(nodes: Sequence[NativeNode]) -> tuple[int, ...]:
    return tuple(node.number for node in nodes)
