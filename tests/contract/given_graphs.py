"""Random branches with what comes from outside of the log: joined tables, vocabularies, conditions.

A joined column is followed by operators of its type. Conditions are for training rows alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from hypothesis import strategies as st

from plumbline.columns.kinds import ELEMENT_KINDS, FeatureKind
from plumbline.expressions import Where
from plumbline.nvtabular.library import ops
from tests.contract.expression_graphs import (
    INTEGER_END,
    NUMBER_END,
    TEXT_END,
    workflows_with_expressions,
)
from tests.contract.graphs import Branch, Graph, Operator

KEY_TYPES: dict[FeatureKind, str] = {"integer": "integer", "hex": "integer", "string": "text"}
DTYPES = {"integer": "Int64", "text": "object", "number": "float64"}
ENDS = {"integer": INTEGER_END, "text": TEXT_END, "number": NUMBER_END}
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "integer": st.integers(-3, 3) | st.sampled_from([2**62, 2**53 + 1, 2**32]),
    "text": st.sampled_from(["a", "é", "漢字", "0", "never"]),
    "number": st.integers(-16, 16).map(lambda n: n / 8),
}
FOLDER = tempfile.TemporaryDirectory(prefix="plumbline-vocabularies-")
"""NVTabular writes vocabularies into a folder as soon as an operator is made."""


@dataclass(frozen=True)
class Joined(Branch):
    """A column of a table, by the columns, and the operators that are applied to it.

    `rows` are tuples of a distinct key's parts and the value, of these `types`.
    """

    rows: tuple[tuple[Any, ...], ...] = ()
    types: tuple[str, ...] = ()

    def build(self, number: str) -> Any:
        parts = zip([*self.columns, "value"], self.types, zip(*self.rows, strict=True), strict=True)
        table = pd.DataFrame({name: _series(type_, values) for name, type_, values in parts})
        names = [*self.columns]
        node: Any = (names >> ops.JoinExternal(table, on=names))["value"]
        for operator in self.operators:
            node = node >> operator.build(number)
        return node >> ops.Rename(postfix=f"_{number}")


@dataclass(frozen=True)
class Given(Branch):
    """Ids of the columns by vocabularies that are given: values of a type for each column."""

    vocabularies: tuple[tuple[str, tuple[Any, ...]], ...] = ()
    buckets: int | None = None

    def build(self, number: str) -> Any:
        pairs = zip(self.columns, self.vocabularies, strict=True)
        vocabularies = {name: _series(*given) for name, given in pairs}
        folder = tempfile.mkdtemp(dir=Path(FOLDER.name))
        buckets = {"num_buckets": self.buckets} if self.buckets else {}
        operator = ops.Categorify(vocabs=vocabularies, out_path=folder, **buckets)
        return [*self.columns] >> operator >> ops.Rename(postfix=f"_{number}")


def given_branches(kinds: Mapping[str, FeatureKind]) -> st.SearchStrategy[list[Branch]]:
    """Up to two joins and given vocabularies."""
    keys = {name: KEY_TYPES[kind] for name, kind in kinds.items() if kind in KEY_TYPES}
    elements = {
        name: KEY_TYPES[ELEMENT_KINDS[kind]]
        for name, kind in kinds.items()
        if kind in ELEMENT_KINDS
    }
    files = {name: type_ for name, type_ in {**keys, **elements}.items() if "/" not in name}
    branches: list[st.SearchStrategy[Branch]] = []
    if keys:
        branches.append(_joined(keys))
    if files:  # NVTabular names a vocabulary's file as the column
        branches.append(_given(files))
    return st.lists(st.one_of(branches), max_size=2) if branches else st.just([])


def with_given(graph: Graph, more: list[Branch]) -> Graph:
    """The graph with further branches, before those that have twins."""
    twins = {number + len(more): branch for number, branch in graph.twins.items()}
    # NVTabular keeps a joined column whose key `remove_inputs` removes, and then misses the key.
    keyed = any(isinstance(branch, Joined) for branch in more)
    removed = () if keyed else graph.removed
    return replace(graph, branches=(*more, *graph.branches), twins=twins, removed=removed)


def workflows_with_tables(kinds: Mapping[str, FeatureKind]) -> st.SearchStrategy[Graph]:
    """Graphs of `workflows_with_expressions`, many of them with such branches."""
    more = st.builds(
        lambda given, one: [*given, *one], given_branches(kinds), conditional_branches(kinds)
    )
    return st.builds(with_given, workflows_with_expressions(kinds), more)


def conditional_branches(kinds: Mapping[str, FeatureKind]) -> st.SearchStrategy[list[Branch]]:
    """Training rows by a number: those that have it, or have it in a relation to a constant.

    In one graph of three.
    """
    numbers = [name for name, kind in kinds.items() if kind == "continuous"]
    if not numbers:
        return st.just([])
    relation = st.sampled_from(["<", "<=", ">", ">=", "!="])

    def of(name: str, relation: str, constant: float, is_dropna: bool) -> list[Branch]:
        where = Operator("Filter", {"f": Where(name, relation, constant)})
        condition = Operator("Dropna") if is_dropna else where
        return [Branch((name,), (condition, Operator("FillMissing", {"fill_val": 0.5})))]

    one = st.builds(of, st.sampled_from(numbers), relation, VALUES["number"], st.booleans())
    return st.just([]) | st.just([]) | one


def has_conditions(branches: Sequence[Branch]) -> bool:
    """Whether training rows may be left out."""
    names = {operator.name for branch in branches for operator in branch.operators}
    return not names.isdisjoint({"Filter", "Dropna"})


@st.composite
def _joined(draw: st.DrawFn, keys: Mapping[str, str]) -> Joined:
    columns = draw(st.lists(st.sampled_from([*keys]), min_size=1, max_size=2, unique=True))
    types = [keys[name] for name in columns]
    parts = st.tuples(*(VALUES[type_] | st.none() for type_ in types))
    # A column of objects without any value has no type.
    keyed = st.lists(parts, min_size=1, max_size=6, unique=True)
    given = draw(keyed.filter(_has_values))
    value_type = draw(st.sampled_from([*ENDS]))
    values = [draw(VALUES[value_type] if n == 0 else VALUES[value_type] | st.none())
              for n in range(len(given))]  # fmt: skip
    rows = tuple((*key, value) for key, value in zip(given, values, strict=True))
    operators = draw(ENDS[value_type])
    return Joined(tuple(columns), operators, rows=rows, types=(*types, value_type))


@st.composite
def _given(draw: st.DrawFn, types: Mapping[str, str]) -> Given:
    columns = draw(st.lists(st.sampled_from([*types]), min_size=1, max_size=3, unique=True))
    vocabularies = tuple(
        (type_, tuple(draw(st.lists(VALUES[type_], min_size=1, max_size=4, unique=True))))
        for type_ in (types[name] for name in columns)
    )
    buckets = draw(st.none() | st.integers(1, 4))
    return Given(tuple(columns), (), vocabularies=vocabularies, buckets=buckets)


def _has_values(rows: list[tuple[Any, ...]]) -> bool:
    return all({*part} != {None} for part in zip(*rows, strict=True))


def _series(type_: str, values: Sequence[Any]) -> pd.Series:
    return pd.Series([*values], dtype=DTYPES[type_])
