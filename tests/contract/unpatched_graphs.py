"""Random graphs and frames for which docs/operators.md lists no difference from NVTabular.

Columns `x`, `i`, `s` have missing values; `z`, `k`, `t` have none. Every pair of `k` and `t` in the
test split is also in the training split. `l` and `m` are lists without missing values.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from plumbline.columns.typed import typed_schema
from plumbline.nvtabular.library import Tags
from tests.contract.graphs import STATISTICS, Branch, Graph, Operator

KINDS: dict[str, Any] = {
    "x": "continuous",
    "z": "continuous",
    "i": "integer",
    "k": "integer",
    "s": "string",
    "t": "string",
    "l": "integer_list",
    "m": "string_list",
}
KEYS = ("k", "t", ("k", "t"))

NUMBER = st.integers(-80, 80).map(lambda n: n / 8)
INTEGER = st.sampled_from([2**62, -5]) | st.integers(-2, 3)
WORD = st.sampled_from(["a", "b", "é", "漢字", "zz"])


def operator(name: str, **parameters: st.SearchStrategy[Any]) -> st.SearchStrategy[Operator]:
    return st.builds(Operator, st.just(name), st.fixed_dictionaries(parameters))


@st.composite
def frames(draw: st.DrawFn) -> tuple[pa.Table, pa.Table]:
    """A training split of at least two rows, and a test split."""
    rows = draw(st.integers(2, 14))
    train = {
        "x": [-1.5, *draw(st.lists(NUMBER | st.none(), min_size=rows - 1, max_size=rows - 1))],
        "z": [0.25, *draw(st.lists(NUMBER, min_size=rows - 1, max_size=rows - 1))],
        "i": [7, *draw(st.lists(INTEGER | st.none(), min_size=rows - 1, max_size=rows - 1))],
        "k": draw(st.lists(INTEGER, min_size=rows, max_size=rows)),
        "s": ["a", *draw(st.lists(WORD | st.none(), min_size=rows - 1, max_size=rows - 1))],
        "t": draw(st.lists(WORD, min_size=rows, max_size=rows)),
        "l": [[1], *draw(lists(INTEGER, rows - 1))],
        "m": [["a"], *draw(lists(WORD, rows - 1))],
        "click": draw(st.lists(st.integers(0, 1), min_size=rows, max_size=rows)),
    }
    seen = draw(st.lists(st.integers(0, rows - 1), min_size=1, max_size=6))
    size = len(seen) - 1
    new_integer, new_word = INTEGER | st.just(99), WORD | st.just("new")
    test = {
        "x": [0.5, *draw(st.lists(NUMBER | st.none(), min_size=size, max_size=size))],
        "z": [0.5, *draw(st.lists(NUMBER, min_size=size, max_size=size))],
        "i": [7, *draw(st.lists(new_integer | st.none(), min_size=size, max_size=size))],
        "k": [train["k"][row] for row in seen],
        "s": ["a", *draw(st.lists(new_word | st.none(), min_size=size, max_size=size))],
        "t": [train["t"][row] for row in seen],
        "l": draw(lists(new_integer, size + 1)),
        "m": draw(lists(new_word, size + 1)),
        "click": [0] * (size + 1),
    }
    schema = typed_schema(KINDS)
    return pa.table(train, schema=schema), pa.table(test, schema=schema)


def lists(elements: st.SearchStrategy[Any], rows: int) -> st.SearchStrategy[list[Any]]:
    # An empty word in a list is the null mark.
    present = elements.filter(lambda value: value != "")
    return st.lists(st.lists(present, min_size=1, max_size=3), min_size=rows, max_size=rows)


def some(names: tuple[str, ...], least: int = 1) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(names), min_size=least, max_size=3, unique=True).map(tuple)


CLIP = operator("Clip", min_value=NUMBER, max_value=st.none() | NUMBER)
EXACT = st.lists(operator("FillMissing", fill_val=NUMBER) | CLIP, max_size=2).map(tuple)
LOG = st.builds(
    lambda least: (Operator("Clip", {"min_value": least}), Operator("LogOp")),
    st.integers(0, 8).map(lambda n: n / 8),
)
NORMAL = (operator("Normalize") | operator("NormalizeMinMax")).map(lambda one: (one,))


REST = st.lists(EXACT | LOG | NORMAL, max_size=1).map(lambda drawn: drawn[0] if drawn else ())


def number(middle: st.SearchStrategy[Any]) -> st.SearchStrategy[Branch]:
    """An operator on numbers, with others before and after it."""
    chain = st.builds(lambda before, one, after: (*before, *one, *after), REST, middle, REST)
    return st.builds(Branch, some(("x", "z")), chain)


def flagged(name: str, **parameters: st.SearchStrategy[Any]) -> st.SearchStrategy[Branch]:
    """Flags are booleans in NVTabular, on which its `NormalizeMinMax` fails."""
    fill = operator(name, add_binary_cols=st.just(True), **parameters)
    rest = st.sampled_from([(), (Operator("LogOp"),), (Operator("Normalize"),)])
    return st.builds(lambda one, rest: Branch(("x",), (one, *rest)), fill, rest)


def bucketized() -> st.SearchStrategy[Branch]:
    boundaries = st.lists(NUMBER, min_size=1, max_size=4).map(sorted)
    last = operator("Bucketize", boundaries=boundaries)
    return st.builds(lambda c, e, b: Branch(c, (*e, b)), some(("x", "z")), EXACT, last)


def categorified(encode_type: str, buckets: st.SearchStrategy[Any]) -> st.SearchStrategy[Operator]:
    return operator(
        "Categorify",
        encode_type=st.just(encode_type),
        num_buckets=buckets,
        freq_threshold=st.integers(0, 3),
    )


BUCKETS = st.none() | st.integers(2, 4)


def ids() -> st.SearchStrategy[Branch]:
    columns = some(("i", "k", "s", "t"))
    return st.builds(lambda c, one: Branch(c, (one,)), columns, categorified("joint", BUCKETS))


def lists_of_ids() -> st.SearchStrategy[Branch]:
    columns = some(("l", "m"))
    return st.builds(lambda c, one: Branch(c, (one,)), columns, categorified("joint", st.none()))


def filled_ids() -> st.SearchStrategy[Branch]:
    """Missing keys are a key like any other."""
    integers = operator("FillMissing", fill_val=st.integers(-2, 9)), some(("i", "k"))
    words = operator("FillMissing", fill_val=st.sampled_from(["missing", "a"])), some(("s", "t"))
    return st.one_of(
        st.builds(lambda c, fill, one: Branch(c, (fill, one)), c, f, categorified("joint", BUCKETS))
        for f, c in (integers, words)
    )


def sliced_lists() -> st.SearchStrategy[Branch]:
    part = operator("ListSlice", start=st.sampled_from([-2, -1, 1, 2]), end=st.none())
    one = categorified("joint", st.none())
    return st.builds(lambda c, part, one: Branch(c, (part, one)), some(("l", "m")), part, one)


def counted_lists() -> st.SearchStrategy[Branch]:
    one = categorified("joint", st.none())
    return st.builds(lambda c, one: Branch(c, (Operator("ValueCount"), one)), some(("l", "m")), one)


def shared_ids() -> st.SearchStrategy[Branch]:
    groups = st.sampled_from([("i", "k"), ("s", "t"), ("k", "i")])
    one = categorified("joint", BUCKETS)
    return st.builds(lambda group, one: Branch((group,), (one,)), groups, one)


def combined_ids() -> st.SearchStrategy[Branch]:
    groups = st.sampled_from([("i", "s"), ("k", "t"), ("t", "i", "s")])
    one = categorified("combo", BUCKETS)
    return st.builds(lambda group, one: Branch((group,), (one,)), groups, one)


def kept_ids() -> st.SearchStrategy[Branch]:
    """Every column has a value, so its largest id is at least 3."""
    last = operator("DropLowCardinality", min_cardinality=st.integers(0, 5))
    return st.builds(lambda one: Branch(("i", "k"), (Operator("Categorify"),), last=one), last)


def joined() -> st.SearchStrategy[Branch]:
    stats = st.lists(st.sampled_from(STATISTICS), min_size=1, max_size=4, unique=True)
    stats = stats.filter(lambda drawn: not {*drawn} <= {"min", "max"})
    one = operator("JoinGroupby", cont_cols=st.just(["z"]), stats=stats)
    return st.builds(lambda key, one: Branch((key,), (one,)), st.sampled_from(KEYS), one)


def encoded() -> st.SearchStrategy[Branch]:
    target = st.sampled_from(["click", ["click"], ["z"], ["click", "z"]])
    smoothing = st.sampled_from([0, 1, 20, 0.5])
    one = operator("TargetEncoding", target=target, kfold=st.just(1), p_smooth=smoothing)
    return st.builds(lambda key, one: Branch((key,), (one,)), st.sampled_from(KEYS), one)


def on_ids() -> st.SearchStrategy[Branch]:
    """Statistics by id, and operators on them."""
    one = operator("TargetEncoding", target=st.just("click"), kfold=st.just(1), p_smooth=st.just(2))
    rest = st.sampled_from([(), (Operator("Normalize"),), (Operator("LogOp"),)])
    return st.builds(
        lambda key, one, rest: Branch((key,), (Operator("Categorify"), one, *rest)),
        st.sampled_from(("k", "t")), one, rest,
    )  # fmt: skip


METADATA = (
    Operator("AddTags", {"tags": ["user"]}),
    Operator("AddMetadata", {"properties": {"a": 1}}),
    Operator("AddProperties", {"properties": {"b": 2}}),
    Operator("TagAsUserID"),
    Operator("TagAsItemID"),
    Operator("TagAsUserFeatures"),
    Operator("TagAsItemFeatures"),
    Operator("ReduceDtypeSize"),
)


def metadata() -> st.SearchStrategy[Branch]:
    return st.permutations(METADATA).map(lambda drawn: Branch(("z",), tuple(drawn)))


def one(name: str, **parameters: Any) -> st.SearchStrategy[tuple[Operator, ...]]:
    return operator(name, **parameters).map(lambda drawn: (drawn,))


FAMILIES: dict[str, st.SearchStrategy[Branch]] = {
    "FillMissing": number(one("FillMissing", fill_val=NUMBER)),
    "FillMissing with flags": flagged("FillMissing", fill_val=NUMBER),
    "FillMedian": number(one("FillMedian")),
    "FillMedian with flags": flagged("FillMedian"),
    "Clip": number(CLIP.map(lambda drawn: (drawn,))),
    "LogOp": number(LOG),
    "Normalize": number(one("Normalize")),
    "NormalizeMinMax": number(one("NormalizeMinMax")),
    "Bucketize": bucketized(),
    "Categorify": ids(),
    "Categorify of lists": lists_of_ids(),
    "FillMissing of keys": filled_ids(),
    "ListSlice of lists": sliced_lists(),
    "ValueCount of lists": counted_lists(),
    "Categorify of columns together": shared_ids(),
    "Categorify of combinations": combined_ids(),
    "DropLowCardinality": kept_ids(),
    "JoinGroupby": joined(),
    "TargetEncoding": encoded(),
    "TargetEncoding of ids": on_ids(),
    "AddTags and others": metadata(),
}
"""Family to a strategy for branches with that operator."""

WITH_TABLES = {"JoinExternal", "ColumnSimilarity"}
"""Compared with NVTabular in their own tests, which have the tables."""

COMPARED = {
    *(family.split()[0] for family in FAMILIES),
    *(op.name for op in METADATA),
    *WITH_TABLES,
    "Rename",
}
"""The operators that are compared with NVTabular; every branch has a Rename."""


def graphs(family: str) -> st.SearchStrategy[Graph]:
    """A branch of that family, and up to two branches of any family."""
    others = st.lists(st.sampled_from(sorted(FAMILIES)).flatmap(FAMILIES.__getitem__), max_size=2)
    return st.builds(lambda first, more: Graph((first, *more)), FAMILIES[family], others)


def forms() -> st.SearchStrategy[Graph]:
    """Branches of nodes subtracted from nodes, and of columns selected by their tag; subgraphs of
    numbers; two branches of the same names.

    NVTabular returns the subtracted columns where they are subtracted by name, fails where they are
    renamed before, on tags in a subgraph, and does not fit a workflow again from which inputs are
    removed.
    """
    fill = operator("FillMissing", fill_val=NUMBER).map(lambda one: (one,))
    numbers = st.builds(
        lambda one, names: Branch(names[:1], one, subtracted=names[1:], by="node"),
        fill, st.permutations(("x", "z")).map(tuple),
    )  # fmt: skip
    ids = st.builds(
        lambda one, names: Branch(names[:2], (one,), subtracted=names[2:], by="node"),
        categorified("joint", BUCKETS), st.permutations(("i", "k", "s", "t")).map(tuple),
    )  # fmt: skip
    tagged = st.one_of(
        fill.map(lambda one: Branch((), one, tag=Tags.CONTINUOUS)),
        categorified("joint", st.none()).map(lambda one: Branch((), (one,), tag=Tags.CATEGORICAL)),
    )
    branches = st.lists(numbers | ids | tagged, min_size=1, max_size=3)
    last = CLIP.map(lambda clip: Branch(("x",), (clip,)))
    first = fill.map(lambda one: Branch(("x",), one))

    def of(found: list[Branch], pair: tuple[Branch, Branch] | None, nested: bool) -> Graph:
        drawn = (*found, *(pair or ())[:1])
        of_numbers = [
            n
            for n, one in enumerate(drawn)
            if one.operators[0].name != "Categorify" and one.tag is None
        ]
        twins = {} if pair is None else {len(found): pair[1]}
        return Graph(drawn, twins=twins, subgraphs=frozenset(of_numbers if nested else ()))

    return st.builds(of, branches, st.none() | st.tuples(first, last), st.booleans())
