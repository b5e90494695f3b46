"""Statistics by key, which the plan's own accumulators learn in pieces.

They compute on the host, so what is learned is the same on every device: columns of cuDF frames are
copied there.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from plumbline.base.file_names import file_name
from plumbline.columns.keys import part_values
from plumbline.columns.values import Text, Values
from plumbline.features.lookup.tables import VALUE, write_look_up
from plumbline.features.statistics.keys import KeyTable, key_array, key_parts
from plumbline.features.statistics.states import KEY, keys_of
from plumbline.features.steps.fit_step import FitStep
from plumbline.features.steps.value_types import ValueType
from plumbline.nvtabular.patching.columns import host_numbers, key_values
from plumbline.nvtabular.patching.look_ups import LookUp
from plumbline.nvtabular.patching.pieces import keyed, learned_in_pieces, names_of_parts, parts_of
from plumbline.nvtabular.patching.spilled import Spilled, concatenated, spill

Add: TypeAlias = Callable[[Any, int, Sequence[Values]], None]
"""Adds the values of a partition, which has this number, to an accumulator."""

Read: TypeAlias = Callable[[Any], Mapping[str, Any]]
"""The columns that are kept of an accumulator: `KEY`, ascending, and numbers."""


@dataclass(frozen=True, slots=True)
class Reads:
    """A step to fit, and the columns that it learns from. Without keys, all rows have one key."""

    step: FitStep[Any]
    keys: tuple[str, ...]
    numbers: tuple[str, ...]


def add_chunk(accumulated: Any, number: int, values: Sequence[Values]) -> None:
    """A partition is a chunk."""
    accumulated.add(number, values)


def learned_by_key(
    frame: Any, reads: Mapping[Any, Reads], read: Read, folder: Path, add: Add = add_chunk
) -> Any:
    """A delayed list of pieces: what is learned from a Dask frame, a table for each of `reads`."""
    merges = {name: partial(_merged, of_name.step, read) for name, of_name in reads.items()}
    return learned_in_pieces(frame, partial(_states, reads, add), merges, folder)


def _states(
    reads: Mapping[Any, Reads], add: Add, number: int, frame: Any
) -> Iterator[tuple[Hashable, pa.Table]]:
    for name, of_name in reads.items():
        keys = [key_values(frame[key]) for key in of_name.keys] or [np.zeros(len(frame), np.int64)]
        types = _types_of(keys)
        accumulated = of_name.step.accumulator(types)
        add(accumulated, number, [*keys, *(host_numbers(frame[one]) for one in of_name.numbers)])
        yield name, _in_parts(accumulated.state(), types)


def _merged(step: FitStep[Any], read: Read, tables: Iterable[pa.Table]) -> pa.Table:
    accumulated = None
    for table in tables:
        parts = parts_of(table)
        if accumulated is None:
            accumulated = step.accumulator(_types_of(parts))
        state = table.drop_columns(names_of_parts(table))
        accumulated.restore(state.append_column(KEY, key_array(parts)))
    return _in_parts(pa.table(read(accumulated)), _types_of(parts))


def _in_parts(table: pa.Table, types: Sequence[ValueType]) -> pa.Table:
    """A table with the column `KEY` as a table of keys."""
    parts = [part_values(part) for part in key_parts(keys_of(table), types)]
    columns = table.drop_columns(KEY)
    return keyed(parts, dict(zip(columns.column_names, columns.columns, strict=True)))


def _types_of(keys: Sequence[Values]) -> tuple[ValueType, ...]:
    return tuple(ValueType("text" if isinstance(key, Text) else "integer") for key in keys)


class Keys:
    """The keys of a table in all its pieces, in ascending order."""

    def __init__(self, pieces: Sequence[Spilled], name: Hashable) -> None:
        self._pieces = pieces
        parts = parts_of(concatenated([piece.table(name) for piece in pieces]))
        keys = key_array(parts)
        order = pc.sort_indices(keys)
        self._order = np.asarray(order)
        self._table = KeyTable(key_parts(keys.take(order), _types_of(parts)))

    def column(self, name: Hashable, column: str) -> NDArray[Any]:
        """A column of a table that has the same keys, in their order."""
        pieces = [np.asarray(piece.table(name)[column]) for piece in self._pieces]
        return np.asarray(np.concatenate(pieces)[self._order])

    def look_up(
        self,
        folder: Path,
        name: str,
        values: Iterable[tuple[Hashable, NDArray[np.float64], float]],
    ) -> LookUp:
        """Write the keys and `values`: for each name, those of the keys, and of unknown ones."""
        keys = self._table
        file = f"cat_stats.{file_name(name)}.parquet"
        parts = pa.table(keys.parts, names=[str(number) for number in range(len(keys.parts))])
        write_look_up(folder, file, keys.index, parts)
        tables = ((name, self._with_last(of_keys, unknown)) for name, of_keys, unknown in values)
        return LookUp(str(folder / file), spill(folder, tables))

    def _with_last(self, values: NDArray[np.float64], unknown: float) -> pa.Table:
        is_null = self._table.is_null
        values = np.where(np.isnan(values), np.nan, values)  # 0/0 is a NaN of other bits
        null = values[is_null] if is_null.any() else [unknown]
        return pa.table({VALUE: np.concatenate([values[~is_null], null, [unknown]])})
