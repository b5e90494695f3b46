"""Ids of several columns in one range, as for one embedding table."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from itertools import accumulate, pairwise

import pyarrow as pa
import pyarrow.compute as pc

from plumbline.base.json_fields import Count
from plumbline.columns.values import Values
from plumbline.features.operators.categorify import (
    Categorify,
    CombinationCounts,
    FitCategorify,
    ValueCounts,
)
from plumbline.features.operators.given_vocabulary import GivenVocabulary
from plumbline.features.statistics.counting import Counts
from plumbline.features.steps.cells import of_part
from plumbline.features.steps.chains import Chain, Source
from plumbline.features.steps.fit_step import Accumulator, FitStep, Target
from plumbline.features.steps.step import NULL_ID, OUT_OF_VOCABULARY_ID
from plumbline.features.steps.value_types import ValueType


@dataclass(frozen=True, slots=True)
class SingleTableCategorify(Categorify):
    """The ids of `Categorify`, plus `offset`: the number of ids of the columns before it.

    0 is padding in every column; null and out of vocabulary have ids in each. `cardinality` is the
    number of ids of all columns, and `values` the number of values in this column's vocabulary.
    """

    op = "single_table_categorify"
    offset: Count
    values: Count

    def __post_init__(self) -> None:
        if self.unseen_ids.stop + self.values > self.cardinality:
            raise ValueError(f"wanted ids below {self.cardinality}, got more values")

    @classmethod
    def of(cls, step: Categorify, offset: int, cardinality: int) -> SingleTableCategorify:
        """The step with its ids at `offset`, which those in its file must have."""
        values = {field.name: getattr(step, field.name) for field in fields(step)}
        values["cardinality"] = cardinality
        return cls(**values, offset=offset, values=step.known)

    @property
    def known(self) -> int:
        return self.values

    @property
    def null_id(self) -> int:
        return self.offset + NULL_ID

    @property
    def unseen_ids(self) -> range:
        first = self.offset + OUT_OF_VOCABULARY_ID
        return range(first, first + self.num_buckets)


@dataclass(frozen=True, slots=True)
class Member:
    """A vocabulary of the table, and the sources that it is fitted on."""

    step: FitCategorify | GivenVocabulary
    sources: tuple[Source, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The raw columns that the sources read."""
        return Chain(self.sources, (self.step,)).columns


@dataclass(frozen=True, slots=True)
class FitSingleTable(FitStep["TableCounts"]):
    """Fits the vocabulary `members[index]`, whose ids follow those of the members before it."""

    takes = "categories"
    takes_lists = True
    gives = "ids"
    not_appended = "the ids of its columns are one range, without room for new values"
    members: tuple[Member, ...]
    index: int

    @property
    def operator(self) -> str:
        return "Categorify(single_table=True)"

    def fitted_on(self, sources: tuple[Source, ...]) -> tuple[Source, ...]:
        return tuple(source for member in self.members for source in member.sources)

    @property
    def shared_by(self) -> Hashable:
        return self.members

    @property
    def least_counts(self) -> tuple[int, ...]:
        return tuple(next(iter(member.step.least_counts), 1) for member in self.members)

    def accumulator(self, types: Sequence[ValueType]) -> TableCounts:
        return TableCounts(self.members, types)

    def fitted(self, accumulated: TableCounts, target: Target) -> SingleTableCategorify:
        vocabularies = accumulated.vocabularies()
        starts = offsets(
            (member.step.num_buckets, len(count))
            for member, (_, count) in zip(self.members, vocabularies, strict=True)
        )
        parts, count = vocabularies[self.index]
        return self.written(parts, count, target, starts[self.index], starts[-1] + 1)

    def written(
        self,
        parts: Sequence[pa.Array],
        count: Counts,
        target: Target,
        offset: int,
        cardinality: int,
    ) -> SingleTableCategorify:
        """Write the files of the member's vocabulary in id order; returns the fitted step."""
        member = self.members[self.index]
        of_member = replace(target, columns=member.columns)
        step = member.step.written(parts, count, of_member, offset)
        return SingleTableCategorify.of(step, offset, cardinality)


def offsets(sizes: Iterable[tuple[int, int]]) -> list[int]:
    """What is added to the ids of each vocabulary, then the largest id of all.

    `sizes` are the numbers of out-of-vocabulary ids and of values, for each vocabulary.

    >>> offsets([(1, 3), (2, 0)])
    [0, 5, 8]
    """
    return list(accumulate((NULL_ID + unseen + known for unseen, known in sizes), initial=0))


class TableCounts(Accumulator):
    """The counts of every member's values."""

    def __init__(self, members: Sequence[Member], types: Sequence[ValueType]) -> None:
        ends = list(accumulate((len(member.sources) for member in members), initial=0))
        self._slices = [slice(*of_member) for of_member in pairwise(ends)]
        self._members = members
        self._counts: list[ValueCounts | CombinationCounts] = [
            member.step.accumulator(types[of_member])
            for member, of_member in zip(members, self._slices, strict=True)
        ]
        self._vocabularies: list[tuple[list[pa.Array], Counts]] | None = None

    def add(self, chunk: int, values: Sequence[Values]) -> None:
        for counts, of_member in zip(self._counts, self._slices, strict=True):
            counts.add(chunk, values[of_member])

    def merge(self, other: TableCounts) -> None:
        for counts, more in zip(self._counts, other._counts, strict=True):
            counts.merge(more)  # type: ignore[arg-type]

    def cells(self) -> pa.Table:
        of_members = enumerate(counts.cells() for counts in self._counts)
        return pa.concat_tables([of_part(table, member) for member, table in of_members])

    def add_cells(self, merged: pa.Table) -> None:
        for member, counts in enumerate(self._counts):
            counts.add_cells(merged.filter(pc.equal(merged["part"], member)))

    def vocabularies(self) -> list[tuple[list[pa.Array], Counts]]:
        """The values of each member in id order, with their counts; no rows may be added then."""
        if self._vocabularies is None:
            self._vocabularies = [
                member.step.vocabulary(counts)  # type: ignore[arg-type]
                for member, counts in zip(self._members, self._counts, strict=True)
            ]
        return self._vocabularies
