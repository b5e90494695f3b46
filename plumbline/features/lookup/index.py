"""Build and search index files, which map values to their positions (see `index_file`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plumbline.base.errors import PlanError
from plumbline.base.native import native, uses_native
from plumbline.columns.values import NULL_INT64, Text
from plumbline.features.lookup import index_numpy
from plumbline.features.lookup.index_file import INTEGERS, TEXT, Shape, read_shape


def build_integer_index(file: Path, values: NDArray[np.int64]) -> None:
    """Write the index of distinct values, int64 (V,); a value's position is its index in `values`.

    The file is written atomically.

    Raises
    ------
    ValueError
        A value is repeated or is -2⁶³, or there are more than 2³¹ - 2.
    """
    partial = file.with_name(file.name + ".partial")
    if uses_native():
        native.build_integer_index(str(partial), values)
    else:
        if values.dtype != np.int64 or values.ndim != 1:
            raise TypeError(f"values: wanted int64 of 1 dimension, got {values.dtype}.")
        _refuse_missing(values == NULL_INT64)
        hashes = index_numpy.integer_hashes(values)
        homes, buckets = index_numpy.buckets_of(hashes, values.view(np.uint64), NULL_INT64)
        _refuse_equal(values, len(np.unique(values)))
        shape = Shape(INTEGERS, len(values), homes, len(buckets), 0)
        partial.write_bytes(shape.header + buckets.tobytes())
    partial.replace(file)


def build_text_index(file: Path, text: Text) -> None:
    """Write the index of distinct strings; a string's position is its index in `text`.

    The file is written atomically.

    Raises
    ------
    ValueError
        A string is repeated or is empty, or there are more than 2³¹ - 2.
    """
    partial = file.with_name(file.name + ".partial")
    if uses_native():
        native.build_text_index(str(partial), text.offsets, text.data)
    else:
        _refuse_missing(text.is_missing)
        hashes = index_numpy.text_hashes(text)
        homes, buckets = index_numpy.buckets_of(hashes, hashes, 0)
        _refuse_equal(text, len(set(text.to_objects())))
        data = text.data[text.offsets[0] : text.offsets[-1]]
        shape = Shape(TEXT, len(text), homes, len(buckets), len(data))
        offsets = (text.offsets - text.offsets[0]).tobytes()
        partial.write_bytes(shape.header + buckets.tobytes() + offsets + data.tobytes())
    partial.replace(file)


class IntegerIndex:
    """An open index of integers; thread-safe.

    `shape` holds the header's fields; `native` is None if NumPy searches.
    """

    def __init__(self, file: Path, shape: Shape) -> None:
        self.shape = shape
        self.native = _native_index(file, shape)
        self._buckets = None if self.native else index_numpy.Buckets(file, shape)

    @classmethod
    def open(cls, file: Path) -> IntegerIndex:
        """Map an index file.

        Raises
        ------
        PlanError
            The file is missing or damaged, or is not an index of this kind.
        """
        return cls(file, read_shape(file, INTEGERS))

    def __len__(self) -> int:
        return self.shape.count

    def positions(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """The position of each value, or -1, int64 (N,); `values` may have any stride."""
        if self._buckets is not None:
            return self._buckets.integer_positions(values)
        positions = np.empty(len(values), np.int64)
        if self.native is not None:
            self.native.positions(values, positions)
        return positions


class TextIndex:
    """An open index of strings; thread-safe."""

    def __init__(self, file: Path, shape: Shape) -> None:
        self.shape = shape
        self.native = _native_index(file, shape)
        self._buckets = None if self.native else index_numpy.Buckets(file, shape)

    @classmethod
    def open(cls, file: Path) -> TextIndex:
        """Map an index file.

        Raises
        ------
        PlanError
            The file is missing or damaged, or is not an index of this kind.
        """
        return cls(file, read_shape(file, TEXT))

    def __len__(self) -> int:
        return self.shape.count

    def positions(self, text: Text) -> NDArray[np.int64]:
        """The position of each string, or -1; int64 (N,)."""
        if self._buckets is not None:
            return self._buckets.text_positions(text)
        positions = np.empty(len(text), np.int64)
        if self.native is not None:
            self.native.text_positions(text.offsets, text.data, positions)
        return positions


def open_index(file: Path) -> IntegerIndex | TextIndex:
    """Map an index file of either kind.

    Raises
    ------
    PlanError
        The file is missing or damaged, or is not an index.
    """
    shape = read_shape(file, None)
    return IntegerIndex(file, shape) if shape.kind == INTEGERS else TextIndex(file, shape)


def _native_index(file: Path, shape: Shape) -> native.Index | None:
    if not uses_native():
        return None
    try:
        return native.Index(
            str(file),
            is_text=shape.kind == TEXT,
            count=shape.count,
            homes=shape.homes,
            buckets=shape.buckets,
            data_bytes=shape.data_bytes,
        )
    except (RuntimeError, OSError) as error:
        raise PlanError.unreadable(str(file), str(error)) from None


def _refuse_missing(missing: NDArray[np.bool_]) -> None:
    if missing.any():
        position = int(np.argmax(missing))
        raise ValueError(f"An index holds no missing values; there is one at {position}")


def _refuse_equal(values: NDArray[np.int64] | Text, distinct: int) -> None:
    if distinct < len(values):
        raise ValueError(f"An index holds distinct values; of {len(values)} only {distinct} differ")
