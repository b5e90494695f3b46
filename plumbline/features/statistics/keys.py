"""Keys of one or more columns as an Arrow array, and their distinct values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from plumbline.base.native import native, uses_native
from plumbline.columns.keys import pack, unpack
from plumbline.columns.values import Text, Values
from plumbline.features.steps.value_types import ValueType

MAX_PARTS = 16
"""The most chunks whose statistics by key are kept apart before they are merged."""


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
