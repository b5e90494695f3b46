"""Categories to ids: 0 padding, 1 null, then out of vocabulary, then the vocabulary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from plumbline.base.errors import PlanError
from plumbline.base.file_names import file_name
from plumbline.base.json_fields import Count, Positive
from plumbline.columns.keys import is_all_missing, pack, part_values, text_array, unpack
from plumbline.columns.value_hash import combined_hash, modulo
from plumbline.columns.values import Lists, Text, Values, take
from plumbline.features.lookup.tables import Positions, Tables, index_of
from plumbline.features.lookup.vocabulary import Vocabulary
from plumbline.features.statistics.counting import Counts, IntegerCounter, TextCounter
from plumbline.features.statistics.fields import add_to_counter, counter_cells
from plumbline.features.statistics.keys import key_array
from plumbline.features.statistics.states import COUNT, KEY, integers, keys_of
from plumbline.features.steps.chains import Source
from plumbline.features.steps.fit_step import (
    Appended,
    Before,
    FitStep,
    KeptAccumulator,
    Target,
)
from plumbline.features.steps.native_nodes import NativeNode, NativeNodes
from plumbline.features.steps.step import OUT_OF_VOCABULARY_ID, SEVERAL, Apply, IdStep
from plumbline.features.steps.value_types import ValueType

if TYPE_CHECKING:
    from typing_extensions import Self


Keys: TypeAlias = "NDArray[np.int64] | Text"


@dataclass(frozen=True, slots=True)
class Categorify(IdStep):
    """Ids as in NVTabular: the vocabulary by count descending, on ties by value ascending.

    A value outside the vocabulary gets id 2, or one of `num_buckets` ids from 2 on, by its hash.
    For several sources, each combination of values gets an id; it is null if all values are. For
    lists, each value gets an id.

    `frequency_threshold` and `limit` (the largest number of values to keep) are the criteria that
    selected the vocabulary. `vocabulary` is its file, relative to the plan folder, with value, id
    and count; `sha256` is the file's hash, and `index_sha256` that of its look-up index.
    """

    op = "categorify"
    takes = "categories"
    takes_lists = True
    frequency_threshold: Count
    limit: Count | None
    num_buckets: Positive
    cardinality: Positive
    vocabulary: str
    sha256: str
    index_sha256: str

    @property
    def arity(self) -> range:
        return SEVERAL

    @classmethod
    def written(
        cls,
        folder: Path,
        name: str,
        parts: Sequence[pa.Array],
        count: NDArray[np.int64],
        *,
        frequency_threshold: int,
        limit: int | None,
        num_buckets: int,
        sources: Sequence[str],
        offset: int = 0,
    ) -> Categorify:
        """Write `vocabulary/<name>.parquet` (see `plumbline.base.file_names`) and its index.

        Parameters
        ----------
        parts
            The values in id order: an int64 or string array (V,), or one for each of the combined
            `sources`, with null for a missing part.
        count
            The number of times each value occurs, int64 (V,).
        offset
            Added to the ids in the file; not to the step's.
        """
        first = OUT_OF_VOCABULARY_ID + num_buckets
        value = parts[0]
        if len(parts) > 1:
            value = pa.StructArray.from_arrays(list(parts), list(sources))
        ids = pa.array(np.arange(len(value), dtype=np.int64) + (offset + first))
        file = f"vocabulary/{file_name(name)}.parquet"
        sha256, index_sha256 = Vocabulary(value, ids, pa.array(count)).write(folder, file)
        return cls(
            frequency_threshold=frequency_threshold,
            limit=limit,
            num_buckets=num_buckets,
            cardinality=first + len(value),
            vocabulary=file,
            sha256=sha256,
            index_sha256=index_sha256,
        )

    @property
    def ids(self) -> int:
        return self.cardinality

    @property
    def first_id(self) -> int:
        """The id of the vocabulary's first value."""
        return self.unseen_ids.stop

    @property
    def known(self) -> int:
        return self.cardinality - self.first_id

    @property
    def unseen_ids(self) -> range:
        return range(OUT_OF_VOCABULARY_ID, OUT_OF_VOCABULARY_ID + self.num_buckets)

    @property
    def vocabulary_file(self) -> str:
        return self.vocabulary

    def files(self) -> Mapping[str, str]:
        return {self.vocabulary: self.sha256, index_of(self.vocabulary): self.index_sha256}

    def fewest_values(self, unseen: int) -> float:
        # Unseen values are rarer than the threshold, unless a limit excluded them.
        if self.limit is not None:
            return self.known
        return self.known + unseen / max(self.frequency_threshold - 1, 1)

    def of_missing(self, number: float | None) -> float:
        return self.null_id

    def check_keys(self, tables: Tables, taken: Sequence[ValueType]) -> None:
        self._positions(tables).require_keys(self.vocabulary, [t.element == "text" for t in taken])

    def bind(self, tables: Tables) -> Apply:
        positions = self._positions(tables)

        def apply(*values: Values) -> NDArray[np.int64] | Lists:
            if len(values) == 1 and isinstance(values[0], Lists):
                lists = values[0]
                return Lists(self._ids(positions, (lists.values,)), lists.offsets)
            return self._ids(positions, values)

        return apply

    def native(
        self, nodes: NativeNodes, sources: Sequence[NativeNode], tables: Tables
    ) -> NativeNode:
        positions = self._positions(tables)
        return nodes.ids(
            positions,
            sources,
            first=self.first_id,
            null=self.null_id,
            unseen=self.unseen_ids.start,
            unseen_slots=self.num_buckets,
        )

    def _positions(self, tables: Tables) -> Positions:
        positions = tables.positions(self.vocabulary, self.sha256, self.index_sha256)
        if len(positions.index) != self.known:
            raise PlanError.unreadable(
                index_of(self.vocabulary),
                f"the step has {self.known} values, its index {len(positions.index)}",
            )
        return positions

    def _ids(self, positions: Positions, values: tuple[Values, ...]) -> NDArray[np.int64]:
        ids_B = positions(*values)
        unknown_B = np.flatnonzero(ids_B < 0)
        ids_B += self.first_id
        ids_B[unknown_B] = self.unseen_ids.start
        if self.num_buckets > 1:
            ids_B[unknown_B] += modulo(combined_hash(values), self.num_buckets)[unknown_B]
        ids_B[is_all_missing(values)] = self.null_id
        return ids_B


@dataclass(frozen=True, slots=True)
class FitCategorify(FitStep["ValueCounts | CombinationCounts"]):
    """Fits `Categorify` with the values that occur at least `frequency_threshold` times.

    Only the `limit` most frequent are kept, if it is given. If several columns share a vocabulary,
    `shared` are the sources counted together; None counts the column itself.
    """

    takes = "categories"
    takes_lists = True
    gives = "ids"
    frequency_threshold: int = 0
    limit: int | None = None
    num_buckets: int = 1
    shared: tuple[Source, ...] | None = None

    def fitted_on(self, sources: tuple[Source, ...]) -> tuple[Source, ...]:
        return self.shared or sources

    @property
    def least_counts(self) -> tuple[int, ...]:
        return (max(self.frequency_threshold, 1),)

    def accumulator(self, types: Sequence[ValueType]) -> ValueCounts | CombinationCounts:
        is_text = [type_.element == "text" for type_ in types]
        if len(types) > 1 and self.shared is None:
            return CombinationCounts(is_text)
        return ValueCounts(is_text[0])

    def fitted(self, accumulated: ValueCounts | CombinationCounts, target: Target) -> Categorify:
        return self.written(*self.vocabulary(accumulated), target)

    def appended(
        self, accumulated: ValueCounts | CombinationCounts, target: Target, before: Before
    ) -> Appended:
        """Ids stay; values that are frequent enough now get the ids behind them."""
        old = cast(Categorify, before.step)
        vocabulary = Vocabulary.read(before.folder / old.vocabulary, old.known)
        minimum = max(self.frequency_threshold, 1)
        grown = accumulated.grown(old._positions(before.tables), old.known, minimum)
        room = len(grown.count) if self.limit is None else max(self.limit - old.known, 0)
        parts = [
            pa.concat_arrays([one, other[:room].cast(one.type)])
            for one, other in zip(vocabulary.parts, grown.parts, strict=True)
        ]
        count = np.concatenate([grown.of_known, grown.count[:room]])
        step = self.written(parts, count, target)
        return Appended(step, max(len(grown.count) - room, 0))

    def vocabulary(
        self, accumulated: ValueCounts | CombinationCounts
    ) -> tuple[list[pa.Array], Counts]:
        """The values, or the parts of the combinations, in id order, and their counts."""
        return accumulated.vocabulary(max(self.frequency_threshold, 1), self.limit)

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
            frequency_threshold=self.frequency_threshold,
            limit=self.limit,
            num_buckets=self.num_buckets,
            sources=target.columns,
            offset=offset,
        )


@dataclass(frozen=True, slots=True)
class Grown:
    """The counts of the values of an earlier vocabulary, by id, and the values to put behind it.

    parts, count: the values, or the parts of the combinations, in id order, and their counts.
    """

    of_known: Counts
    parts: list[pa.Array]
    count: Counts


class ValueCounts(KeptAccumulator):
    """Counts the values of all sources together; a list counts each of its values."""

    def __init__(self, is_text: bool) -> None:
        self._counter: IntegerCounter | TextCounter = TextCounter() if is_text else IntegerCounter()

    def add(self, chunk: int, values: Sequence[Values]) -> None:
        for column in values:
            self._counter.add(column.values if isinstance(column, Lists) else column)  # type: ignore[arg-type]

    def merge(self, other: Self) -> None:
        self._counter.merge(other._counter)  # type: ignore[arg-type]

    def state(self) -> pa.Table:
        values, count = self._counter.counts()
        return pa.table({KEY: key_array([values]), COUNT: count})

    def restore(self, state: pa.Table) -> None:
        keys, count = keys_of(state), integers(state, COUNT)
        self._counter.add_counted(part_values(keys), count)  # type: ignore[arg-type]

    def cells(self) -> pa.Table:
        return counter_cells(self._counter)

    def add_cells(self, merged: pa.Table) -> None:
        add_to_counter(self._counter, merged)

    def vocabulary(self, minimum: int, limit: int | None) -> tuple[list[pa.Array], Counts]:
        """The values counted at least `minimum` times, in id order, and their counts.

        Releases the counter, which takes a gigabyte for 40 million values, before they are written.
        """
        values, count = self._counter.counts(minimum, limit)
        del self._counter
        return [_array_of(values)], count

    def grown(self, positions: Positions, known: int, minimum: int) -> Grown:
        """The values that were counted at least `minimum` times and have no position.

        `known` is the number of values that have one.
        """
        values, count = self._counter.counts()
        del self._counter
        of_known, new = _divided(positions(values), count, known, minimum)
        return Grown(of_known, [_array_of(cast("Keys", take(values, new)))], count[new])


class CombinationCounts(KeptAccumulator):
    """Counts combinations of the sources' values, except those with all parts missing."""

    def __init__(self, is_text: Sequence[bool]) -> None:
        self._is_text = is_text
        self._counter = TextCounter()

    def add(self, chunk: int, values: Sequence[Values]) -> None:
        missing = is_all_missing(values)
        keys = pack(values)
        self._counter.add(keys.take(~missing) if missing.any() else keys)

    def merge(self, other: Self) -> None:
        self._counter.merge(other._counter)

    def state(self) -> pa.Table:
        keys, count = self._counter.counts()
        return pa.table({KEY: key_array([keys]), COUNT: count})

    def restore(self, state: pa.Table) -> None:
        self._counter.add_counted(Text.from_arrow(keys_of(state)), integers(state, COUNT))

    def cells(self) -> pa.Table:
        return counter_cells(self._counter)

    def add_cells(self, merged: pa.Table) -> None:
        add_to_counter(self._counter, merged)

    def vocabulary(self, minimum: int, limit: int | None) -> tuple[list[pa.Array], Counts]:
        """As `ValueCounts.vocabulary`, with an array for each part."""
        keys, count = self._counter.counts(minimum, None)
        del self._counter
        parts = unpack(keys, self._is_text)
        order = _order(parts, count)[:limit]
        return [part.take(order) for part in parts], count[order]

    def grown(self, positions: Positions, known: int, minimum: int) -> Grown:
        """As `ValueCounts.grown`, with an array for each part."""
        keys, count = self._counter.counts()
        del self._counter
        of_known, new = _divided(positions(keys), count, known, minimum)
        parts = unpack(keys.take(new), self._is_text)
        order = _order(parts, count[new])
        return Grown(of_known, [part.take(order) for part in parts], count[new][order])


def _array_of(values: Keys) -> pa.Array:
    return text_array(values) if isinstance(values, Text) else pa.array(values)


def _divided(
    position: NDArray[np.int64], count: Counts, known: int, minimum: int
) -> tuple[Counts, NDArray[np.int64]]:
    """The counts of the values with a position, (known,), and the rows of frequent ones without."""
    is_known = position >= 0
    of_known = np.zeros(known, np.int64)
    of_known[position[is_known]] = count[is_known]
    return of_known, np.flatnonzero(~is_known & (count >= minimum))


def _order(parts: Sequence[pa.Array], count: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sort by count descending, on ties by the parts from left to right, missing ones first."""
    names = [f"{part}" for part in range(len(parts))]
    table = pa.table([pa.array(-count), *parts], names=["count", *names])
    keys = [(name, "ascending") for name in table.column_names]
    order = pc.sort_indices(table, sort_keys=keys, null_placement="at_start")
    return np.asarray(order, dtype=np.int64)
