"""Keys of one or more columns as an Arrow array, and their distinct values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from plumbline.base.native import native, uses_native
from plumbline.columns.keys import is_all_missing, pack, part_values, unpack
from plumbline.columns.values import Text, Values
from plumbline.features.lookup.tables import KeyIndex
from plumbline.features.steps.value_types import ValueType

if TYPE_CHECKING:
    from typing_extensions import Self


class ByKey(Protocol):
    """Statistics by key, with a classmethod that merges them."""

    @property
    def keys(self) -> pa.Array: ...

    @classmethod
    def merged(cls, parts: Sequence[Self], *, ascending: bool = False) -> Self: ...


P = TypeVar("P", bound=ByKey)


class Parts(Generic[P]):
    """Statistics by key of the rows so far, in parts.

    A part is merged with the one before it unless that has more than twice as many keys. So a key
    is merged a logarithmic number of times, however many chunks there are.
    """

    def __init__(self) -> None:
        self._parts: list[P] = []
        self._is_total = False
        self._table: KeyTable | None = None

    def __bool__(self) -> bool:
        """Whether there is any part."""
        return bool(self._parts)

    def add(self, part: P) -> None:
        self._is_total = False
        self._parts.append(part)
        while len(self._parts) > 1 and len(self._parts[-2].keys) <= 2 * len(self._parts[-1].keys):
            last = [self._parts.pop(), self._parts.pop()]
            self._parts.append(type(part).merged(last[::-1]))

    def merge(self, other: Parts[P]) -> None:
        """Add the parts of `other`."""
        for part in other._parts:
            self.add(part)

    def total(self) -> P:
        """The statistics of all rows, with ascending keys."""
        if not self._is_total:
            self._parts = [type(self._parts[0]).merged(self._parts, ascending=True)]
            self._is_total = True
        return self._parts[0]

    def table(self, types: Sequence[ValueType]) -> KeyTable:
        """The keys of `total`, for all that is written of them; call it after the last row."""
        if self._table is None:
            self._table = KeyTable(key_parts(self.total().keys, types))
        return self._table


class KeyTable:
    """Distinct keys to write values of. All values of the same keys can share it.

    `is_null`: the mask of the keys with all parts missing, (V,). `parts`: the columns of the other
    keys, and `index` the index of these.
    """

    def __init__(self, parts: Sequence[pa.Array]) -> None:
        self.is_null = is_all_missing([part_values(part) for part in parts])
        present = pa.array(np.flatnonzero(~self.is_null))
        self.parts = [part.take(present) for part in parts]
        self.index = KeyIndex(self.parts)


def key_array(keys: Sequence[Values]) -> pa.Array:
    """The keys, (B,): integers, or strings or several packed columns as binary."""
    if len(keys) > 1:
        return pack(keys).to_arrow().cast(pa.large_binary())
    (key,) = keys
    if isinstance(key, Text):
        return key.to_arrow().cast(pa.large_binary())
    return pa.array(key)


def key_parts(keys: pa.Array, types: Sequence[ValueType]) -> list[pa.Array]:
    """The columns of keys that `key_array` gave."""
    if pa.types.is_integer(keys.type):
        return [keys]
    if len(types) == 1:
        return [keys.cast(pa.string())]
    text = Text.from_arrow(keys)
    return unpack(text, [type_.element == "text" for type_ in types])


def distinct(keys: pa.Array) -> tuple[pa.Array, NDArray[np.int64]]:
    """The distinct keys, (V,), and the index of each key in them, int64 (B,)."""
    if uses_native():
        if pa.types.is_integer(keys.type):
            first, index = native.distinct_integers(np.asarray(keys))
        else:
            text = Text.from_arrow(keys)
            first, index = native.distinct_texts(text.offsets, text.data)
        return keys.take(pa.array(first)), index
    encoded = pc.dictionary_encode(keys)
    return encoded.dictionary, np.asarray(encoded.indices, dtype=np.int64)


def distinct_of_parts(
    parts: Sequence[pa.Array], *, ascending: bool = False
) -> tuple[pa.Array, list[NDArray[np.int64]]]:
    """The distinct keys of several arrays, (V,), and the index of each array's keys in them.

    They are in order of occurrence, or `ascending`: integers by number, binary keys by their bytes.
    """
    keys, index = distinct(pa.concat_arrays(list(parts)))
    if ascending:
        order = pc.sort_indices(keys)
        place = np.empty(len(keys), np.int64)
        place[np.asarray(order)] = np.arange(len(keys))
        keys, index = keys.take(order), place[index]
    return keys, np.split(index, np.cumsum([len(part) for part in parts])[:-1])
