"""Categorify: ids from a vocabulary of a column, of several columns, or of their combinations."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from plumbline.base.errors import PlanError
from plumbline.base.file_names import file_name
from plumbline.base.printable import one_line
from plumbline.columns.arrow_hash import columns_sha256
from plumbline.columns.value_hash import modulo
from plumbline.columns.values import NULL_INT64
from plumbline.features.lookup.tables import KeyIndex, index_of, write_look_up
from plumbline.features.operators.categorify import FitCategorify
from plumbline.features.operators.given_vocabulary import GivenVocabulary
from plumbline.features.operators.single_table import FitSingleTable, Member, offsets
from plumbline.features.statistics.counting import Counts
from plumbline.features.steps.chains import Source
from plumbline.features.steps.fit_step import Target
from plumbline.features.steps.step import NULL_ID, OUT_OF_VOCABULARY_ID, Step
from plumbline.features.steps.value_types import Element
from plumbline.nvtabular.library import concat, ops
from plumbline.nvtabular.operator_call import CompiledOperator, OperatorCall
from plumbline.nvtabular.patching.columns import (
    as_group,
    elements,
    frame_of,
    hashes,
    is_list,
    key_frame,
    keys,
    relisted,
)
from plumbline.nvtabular.patching.look_ups import MISSING, rows_of
from plumbline.nvtabular.patching.pieces import learned_in_pieces
from plumbline.nvtabular.patching.spilled import Spilled, spill_folder
from plumbline.nvtabular.patching.tables import read_vocabulary
from plumbline.nvtabular.patching.vocabularies import (
    Kept,
    counted_values,
    counts_of_given,
    vocabulary,
    with_nulls,
)


def categorify(at: OperatorCall) -> Source:
    _refuse_parameters(at)
    group = _group(at)
    is_combination = at.operator.encode_type == "combo"
    member = _member(at, group)
    taken = member.sources if is_combination else (at.key(at.output, lists=True),)
    if at.operator.single_table:
        return _in_single_table(at, group, taken)

    def read(target: Target) -> Step:
        return member.step.written(*_learned(at, group, member), target)

    return at.fit_step(member.step, read, *taken)


def _member(at: OperatorCall, group: tuple[str, ...]) -> Member:
    """The vocabulary of a group of columns."""
    is_combination = at.operator.encode_type == "combo"
    sources = tuple(at.key(name, lists=len(group) == 1 or not is_combination) for name in group)
    if is_combination:
        return Member(_step(at, group, None), sources)
    if len({at.type_of(source).element == "text" for source in sources}) > 1:
        raise at.unsupported(
            "Categorify of integers and text together",
            "Give the columns one kind in the configuration, integer or string.",
        )
    step = _step(at, group, sources if len(group) > 1 else None)
    storage = at.operator.name_sep.join(group)
    if storage not in at.operator.vocabs:
        return Member(step, sources)
    values = given_values(at.operator.vocabs[storage], storage, at.type_of(sources[0]).element)
    digest = columns_sha256([values])
    return Member(GivenVocabulary(digest, step.num_buckets, step.shared, values), sources)


def _in_single_table(at: OperatorCall, group: tuple[str, ...], taken: tuple[Source, ...]) -> Source:
    """The ids of a group, which share one range with those of the other groups."""
    if at.fitted and not isinstance(at.operator, Categorify):
        raise at.unsupported(
            "Categorify(single_table=True) that NVTabular has fitted",
            "Fit the workflow with Plumbline: NVTabular gives a null the id of the first value.",
        )
    members = tuple(_member(at, of_table) for of_table in at.groups)
    step = FitSingleTable(members, at.groups.index(group))

    def read(target: Target) -> Step:
        storage = at.operator.name_sep.join(group)
        offset = at.learned_value(at.operator.offsets, storage)
        parts, count = _learned(at, group, members[step.index])
        return step.written(parts, count, target, offset, at.operator.ids)

    return at.fit_step(step, read, *taken)


def _learned(
    at: OperatorCall, group: tuple[str, ...], member: Member
) -> tuple[list[pa.Array], Counts]:
    """The values of a group that the operator has learned, in id order, and their counts."""
    storage = at.operator.name_sep.join(group)
    path = Path(at.learned_value(at.operator.categories, storage))
    size = f"{storage}_size"
    if isinstance(member.step, GivenVocabulary):
        values = member.step.values
        if size not in pq.read_schema(path).names:  # NVTabular does not count given values
            return [values], np.zeros(len(values), np.int64)
        count = pq.read_table(path, columns=[size])[size].cast(pa.int64())
        return [values], np.asarray(count)
    columns = list(group) if at.operator.encode_type == "combo" else [storage]
    first_id = OUT_OF_VOCABULARY_ID + member.step.num_buckets
    return read_vocabulary(
        path,
        columns,
        size,
        [at.type_of(source).element for source in member.sources[: len(columns)]],
        None if isinstance(at.operator, Categorify) else first_id,
    )


def _refuse_parameters(at: OperatorCall) -> None:
    dtype = np.dtype(at.operator.output_dtype)
    if dtype not in (np.dtype(np.int64), np.dtype(np.int32)):
        raise at.unsupported_parameter("dtype", dtype.name, "Give int32 or int64.")


def given_values(path: str, name: str, element: Element) -> pa.Array:
    """The values of a file of `Categorify(vocabs=…)`, in the order of their ids, without nulls.

    Raises
    ------
    PlanError
        It cannot be read, has no column `name` or values of another type, or has a value twice.
    """
    wanted = pa.string() if element == "text" else pa.int64()
    try:
        values = pq.read_table(path, columns=[name])[name].cast(wanted).combine_chunks()
    except (OSError, KeyError, pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        reason = one_line(str(error), 120).removesuffix(".")
        raise PlanError(
            f"Categorify(vocabs=…): wanted {wanted} in a column {name!r} of {path}: {reason}."
        ) from None
    values = values.drop_null()
    values = values.filter(pc.not_equal(values, "" if element == "text" else NULL_INT64))
    counts = pc.value_counts(values)
    for value, count in zip(counts.field("values"), counts.field("counts"), strict=True):
        if count.as_py() > 1:
            raise PlanError(f"Categorify(vocabs=…): {value.as_py()!r} of {name!r} is in it twice.")
    return values


def _group(at: OperatorCall) -> tuple[str, ...]:
    """The group of columns that the output is one of, or the combination of."""
    for group in at.groups:
        is_combination = at.operator.encode_type == "combo"
        if at.output in ((at.operator.name_sep.join(group),) if is_combination else group):
            return group
    raise PlanError(f"Column {at.output!r} is not an output of Categorify.")


def _step(
    at: OperatorCall, group: tuple[str, ...], shared: tuple[Source, ...] | None
) -> FitCategorify:
    threshold, max_size, num_buckets = (
        _setting(at, parameter, group)
        for parameter in ("freq_threshold", "max_size", "num_buckets")
    )
    buckets = at.count("num_buckets", num_buckets) if num_buckets else 1
    limit = None
    if max_size:
        # NVTabular counts the ids for padding, null and out of vocabulary, too.
        limit = at.count("max_size", max_size, 2 + buckets) - 2 - buckets
    return FitCategorify(at.count("freq_threshold", threshold or 0, 0), limit, buckets, shared)


def _setting(at: OperatorCall, parameter: str, group: tuple[str, ...]) -> Any:
    """The value of a parameter for a group; a dict must have an entry for it."""
    value = getattr(at.operator, parameter)
    of_group = setting(value, at.operator.name_sep.join(group), group)
    if isinstance(value, dict) and of_group is None:
        raise at.unsupported_parameter(parameter, value)
    return of_group


class Categorify(ops.Categorify):
    """Ids that are the same on every run and every device.

    - NVTabular sorts the vocabulary by count with an unstable sort, so the order of values with
      equal counts, and what `max_size` cuts off, depend on the number of rows and on the machine.
      Here such values are in ascending order (strings by their UTF-8 bytes).
    - NVTabular fails on a frame in which a column has no values, on missing lists, and on dicts
      that name a group of columns. It encodes a missing value in a list as out of vocabulary.
    - NVTabular hashes a value that is out of vocabulary together with the row's number.
    """

    _members: Mapping[str, tuple[str, ...]] = {}
    """Vocabulary name to the columns that share it or are combined in it; empty until fitted."""

    offsets: Mapping[str, int] = {}
    """Vocabulary name to what is added to its ids; empty unless in a single table."""

    ids: int = 0
    """The number of ids in the single table."""

    def fit(self, col_selector: Any, ddf: Any) -> Any:
        groups = [as_group(name) for name in col_selector.grouped_names]
        self._members = {self.name_sep.join(group): group for group in groups}
        for name, group in self._members.items():
            if len(group) > 1 and self.encode_type == "joint":
                self.storage_name.update(dict.fromkeys(group, name))
        every = Kept(0, None)
        kept = {n: every if n in self.vocabs else self._kept(n) for n in self._members}
        return learned_in_pieces(
            ddf,
            partial(_counted, self._members, self.encode_type == "combo"),
            {name: of_name.merged for name, of_name in kept.items()},
            spill_folder(self.out_path),
        )

    def _kept(self, name: str) -> Kept:
        threshold = setting(self.freq_threshold, name, self._members[name]) or 0
        limit = setting(self.max_size, name, self._members[name])
        ids_before = OUT_OF_VOCABULARY_ID + self._buckets(name)
        return Kept(threshold, max(limit - ids_before, 0) if limit else None)

    def fit_finalize(self, pieces: list[Spilled]) -> None:
        folder = Path(self.out_path) / "categories"
        folder.mkdir(parents=True, exist_ok=True)
        sizes: list[tuple[int, int]] = []
        for name in self._members:
            file = f"unique.{file_name(name)}.parquet"
            values = self._write(pieces, name, folder, file)
            self.categories[name] = str(folder / file)
            if self.single_table:
                *_, offset = offsets(sizes)
                self.offsets = {**self.offsets, name: offset}
                sizes.append((self._buckets(name), values))
        self.ids = offsets(sizes)[-1] + 1
        shutil.rmtree(spill_folder(self.out_path), ignore_errors=True)

    def _write(self, pieces: list[Spilled], name: str, folder: Path, file: str) -> int:
        """Write the values in the order of their ids, with their counts and an index of them.

        Ordered by count, descending; ties by value from left to right, nulls first. Values that the
        graph gives have its order. Returns their number.
        """
        group, size = self._members[name], f"{name}_size"
        columns = group if self.encode_type == "combo" else (name,)
        if name in self.vocabs:
            is_integer = pa.types.is_integer(pieces[0].table(name)["0"].type)
            values = given_values(self.vocabs[name], name, "integer" if is_integer else "text")
            index = KeyIndex([values])
            index.write(folder / index_of(file))
            parts, counts = [values], counts_of_given(pieces, name, folder / index_of(file))
        else:
            table = vocabulary(pieces, name, self._kept(name))
            *parts, counts = map(with_nulls, table.columns)
            index = KeyIndex(parts)
        write_look_up(folder, file, index, pa.table([*parts, counts], names=[*columns, size]))
        return len(counts)

    def _buckets(self, name: str) -> int:
        return setting(self.num_buckets, name, self._members.get(name, ())) or 1

    def transform(self, col_selector: Any, df: Any) -> Any:
        columns = {}
        for name, group in self.column_mapping(col_selector).items():
            column = df[group[0]]
            if len(group) == 1 and is_list(column):
                values = frame_of(df, {group[0]: elements(column)})
                columns[name] = relisted(column, self._ids(name, values))
            else:
                columns[name] = self._ids(name, key_frame(df, group))
        return frame_of(df, columns)

    def _ids(self, name: str, values: Any) -> Any:
        """The ids of the rows of `values`, a frame of one column or of those that are combined."""
        names = list(values.columns)
        storage = self.storage_name.get(name, name)
        buckets, offset = self._buckets(storage), self.offsets.get(storage, 0)
        rows = rows_of(self.categories[storage], values)
        unknown = np.full(len(values), offset + OUT_OF_VOCABULARY_ID)
        if buckets > 1:
            combined = np.bitwise_xor.reduce([hashes(values[column]) for column in names])
            unknown = unknown + modulo(combined, buckets)
        ids = np.where(rows >= 0, rows + (offset + OUT_OF_VOCABULARY_ID + buckets), unknown)
        ids[rows == MISSING] = offset + NULL_ID
        return ids

    def _compute_properties(self, col_schema: Any, input_schema: Any) -> Any:
        name = self.storage_name.get(col_schema.name, col_schema.name)
        cardinality = OUT_OF_VOCABULARY_ID + self._buckets(name)
        path = self.categories.get(name)
        if path is not None and Path(path).is_file():
            cardinality += pq.read_metadata(path).num_rows
        if name in self.offsets:
            cardinality = self.ids
        return col_schema.with_properties(
            {"domain": {"min": 0, "max": cardinality - 1, "name": name}}
        )


def setting(value: Any, name: str, columns: Sequence[str]) -> Any:
    """A parameter's value for a group; a dict is looked up by the group's name, then its columns.

    Returns None if a dict has none of them.
    """
    if not isinstance(value, dict):
        return value
    return next((value[key] for key in (name, *columns) if key in value), None)


def _counted(
    groups: Mapping[str, tuple[str, ...]], combined: bool, number: int, df: Any
) -> Iterator[tuple[str, pa.Table]]:
    """The distinct values of each vocabulary and their counts."""
    for name, group in groups.items():
        if combined and len(group) > 1:
            values = key_frame(df, group)
        else:
            columns = [df[column] for column in group]
            parts = [elements(c) if is_list(c) else keys(c) for c in columns]
            values = frame_of(df, {name: concat(parts, ignore_index=True)})
        yield name, counted_values(_sizes(values.dropna(how="all"), f"{name}_size"))


def _sizes(values: Any, size: str) -> Any:
    names = list(values.columns)
    counted = values.assign(**{size: 1}).groupby(names, dropna=False, sort=False).sum()
    return counted.reset_index()


OPERATORS = (CompiledOperator(ops.Categorify, categorify, Categorify, domain_excess=0),)
