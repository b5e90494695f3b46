"""Random graphs with expressions beside and before all other operators, and in further forms.

A chain of expressions is drawn by the type that it has come to: times, text, integers or numbers.
It ends in ids or numbers, or is the key of an operator on several columns. Branches may be
subgraphs, and two of them may have outputs of the same names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from hypothesis import strategies as st

from plumbline.columns.kinds import FeatureKind
from plumbline.features.operators.date_part import PARTS
from tests.contract.graphs import Branch, Graph, Operator, workflows

Chain: TypeAlias = tuple[Operator, ...]
Chains: TypeAlias = st.SearchStrategy[Chain]


def workflows_with_expressions(kinds: Mapping[str, FeatureKind]) -> st.SearchStrategy[Graph]:
    """Graphs of `workflows`, most of them with up to three branches of expressions."""
    more = st.lists(_branches(kinds), max_size=3)
    pairs = st.none() | st.none() | _of_one_name(kinds)
    subgraphs = st.just(frozenset()) | st.frozensets(st.integers(0, 5), max_size=3)
    return st.builds(_graph, workflows(kinds), more, pairs, subgraphs)


def _graph(
    graph: Graph, more: list[Branch], pair: tuple[Branch, Branch] | None, subgraphs: frozenset[int]
) -> Graph:
    branches = (*graph.branches, *more)
    if pair is None:
        return replace(graph, branches=branches, subgraphs=subgraphs)
    twins = {len(branches): pair[1]}
    return replace(graph, branches=(*branches, pair[0]), twins=twins, subgraphs=subgraphs)


def _of_one_name(kinds: Mapping[str, FeatureKind]) -> st.SearchStrategy[tuple[Branch, Branch]]:
    """Two branches of the same columns and types."""
    numbers = [name for name, kind in kinds.items() if kind == "continuous"]
    keys = [name for name, kind in kinds.items() if kind in ("integer", "hex", "string")]

    def of(names: list[str], chains: Chains) -> st.SearchStrategy[tuple[Branch, Branch]]:
        return st.builds(
            lambda columns, one, two: (Branch(columns, one), Branch(columns, two)),
            _some(names, 1, 2), chains, chains,
        )  # fmt: skip

    return of(numbers, _CONSTANT | _PERIODIC) | of(keys, _IDS) | st.none()


def _branches(kinds: Mapping[str, FeatureKind]) -> st.SearchStrategy[Branch]:
    times = [name for name, kind in kinds.items() if kind == "time"]
    numbers = [name for name, kind in kinds.items() if kind == "continuous"]
    integers = [name for name, kind in kinds.items() if kind in ("integer", "hex", "boolean")]
    texts = [name for name, kind in kinds.items() if kind == "string"]
    keyed = [(times, _PARTS), (texts, _TEXT), (integers, _AS_TEXT), (numbers, _AS_INTEGER)]
    branches = [_of(times, _TIMES), _of(texts, _TEXTS), _of(integers, _INTEGERS)]
    branches += [_of(numbers, _NUMBERS), _of_two(times, _SECONDS)]
    branches.append(_of_two(numbers + integers, _ARITHMETIC))
    branches += [_keys(names, chains, integers + texts) for names, chains in keyed]
    return st.one_of(branches)


def _some(names: list[str], least: int, most: int) -> st.SearchStrategy[tuple[str, ...]]:
    if len(names) < least:
        return st.nothing()
    return st.lists(st.sampled_from(names), min_size=least, max_size=most, unique=True).map(tuple)


def _of(names: list[str], chains: Chains) -> st.SearchStrategy[Branch]:
    return st.builds(Branch, _some(names, 1, 2), chains)


def _of_two(names: list[str], chains: Chains) -> st.SearchStrategy[Branch]:
    return st.builds(Branch, _some(names, 2, 2), chains)


def _keys(names: list[str], chains: Chains, others: list[str]) -> st.SearchStrategy[Branch]:
    """Expressions, alone or with other columns, as keys of an operator on several columns."""
    inner = st.builds(Branch, _some(names, 1, 1), chains)
    columns = _some(others, 1, 2) | st.just(()) if others else st.just(())
    last = st.one_of(
        _one("HashedCross", num_buckets=st.integers(1, 50)),
        _one("JoinGroupby", stats=st.just(["count"])),
        _one("TargetEncoding", target=st.just("click"), kfold=st.just(1), p_smooth=st.just(2)),
    )
    return st.builds(lambda one, names, op: Branch(names, op, one), inner, columns, last)


def _one(operator: str, /, **parameters: st.SearchStrategy[Any]) -> Chains:
    return st.builds(lambda drawn: (Operator(operator, drawn),), st.fixed_dictionaries(parameters))


def _then(*chains: Chains) -> Chains:
    return st.tuples(*chains).map(lambda drawn: tuple(op for chain in drawn for op in chain))


_EIGHTH = st.integers(-16, 16).map(lambda n: n / 8)
_PERIOD = st.sampled_from([1.0, 7, 24, 0.3])
_RELATION = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
_INSTANT = st.sampled_from(["1970-01-01", "2024-02-29T12:30:00+02:00", "1969-12-31T23:59:59.5"])
_WORD = st.sampled_from(["a", "é", "漢字", "0", "A|b"])
_WHOLE = st.sampled_from([-1, 0, 2, 2**53 + 1])
_BY_ZERO = st.none() | st.just(0.0)

_CONSTANT = st.one_of(
    _one("Add", constant=_EIGHTH),
    _one("Subtract", constant=_EIGHTH),
    _one("Multiply", constant=_EIGHTH),
    _one("Divide", constant=_EIGHTH, by_zero=_BY_ZERO),
)
_PERIODIC = _one("Sine", period=_PERIOD) | _one("Cosine", period=_PERIOD)
NUMBER_END = st.one_of(
    st.just(()),
    _one("FillMissing", fill_val=_EIGHTH),
    _one("Bucketize", boundaries=st.just([-1.0, 0.5, 3.0])),
    _PERIODIC,
    _CONSTANT,
    _one("Compare", relation=_RELATION, constant=_EIGHTH),
    _one("IsIn", constants=st.lists(_EIGHTH, max_size=3)),
)
_IDS = st.one_of(
    _one("Categorify"),
    _one("HashBucket", num_buckets=st.integers(1, 50)),
    _one("Categorify", num_buckets=st.integers(2, 4), freq_threshold=st.integers(0, 2)),
)
TEXT_END = st.one_of(
    _IDS,
    _then(_one("Compare", relation=_RELATION, constant=_WORD), NUMBER_END),
    _one("IsIn", constants=st.lists(_WORD, max_size=3)),
    _then(_one("Cast", to=st.just("number")), _one("FillMissing", fill_val=_EIGHTH)),
)
INTEGER_END = st.one_of(
    _IDS,
    _one("RangeIds", first=st.integers(-2, 0), last=st.integers(0, 30)),
    _then(_one("Cast", to=st.just("number")), NUMBER_END),
    _then(_PERIODIC | _CONSTANT, NUMBER_END),
    _one("Compare", relation=_RELATION, constant=_WHOLE | _EIGHTH),
    _one("IsIn", constants=st.lists(_WHOLE, max_size=3)),
    _one("Clip", min_value=st.just(0), max_value=st.just(9)),
    _then(_one("Cast", to=st.just("text")), TEXT_END),
)
_PARTS = _one("DatePart", utc_offset=st.sampled_from(["+00:00", "+05:30", "-11:00"])).flatmap(
    lambda chain: st.lists(st.sampled_from(PARTS), min_size=1, max_size=3, unique=True).map(
        lambda parts: (replace(chain[0], positional=tuple(parts)),)
    )
)
_TIMES = st.one_of(
    _then(_PARTS, INTEGER_END),
    _then(_one("SecondsSince", instant=_INSTANT), NUMBER_END),
    _then(_one("Compare", relation=_RELATION, constant=_INSTANT), NUMBER_END),
    _one("IsIn", constants=st.lists(_INSTANT, max_size=2)),
)
_SECONDS = _then(_one("SecondsBetween", name=st.none() | st.just("delay")), NUMBER_END)
_POSITION = st.none() | st.integers(-2, 2)
_TEXT = _then(
    st.just(()) | _one("Lowercase"),
    st.one_of(
        _one("Lowercase"),
        _one("Substring", start=_POSITION, stop=_POSITION),
        _one("SplitPart", separator=st.sampled_from(["|", "a"]), index=st.integers(-2, 2)),
    ),
)
_AS_TEXT = _then(
    _one("Cast", to=st.just("text")), _one("Substring", start=st.just(0), stop=st.integers(1, 3))
)
_AS_INTEGER = _one("Cast", to=st.just("integer"), rounding=st.sampled_from(["floor", "nearest"]))
_TEXTS = st.one_of(
    _then(_TEXT, TEXT_END),
    _then(_one("Cast", to=st.just("integer")), INTEGER_END),
    _then(_one("CountSubstring", substring=_WORD) | _one("TextLength"), INTEGER_END),
)
_INTEGERS = INTEGER_END
_NUMBERS = st.one_of(
    _then(_PERIODIC | _CONSTANT, NUMBER_END),
    _then(_AS_INTEGER, INTEGER_END),
    _then(_one("Compare", relation=_RELATION, constant=_EIGHTH), NUMBER_END),
)
_ARITHMETIC = _then(
    st.one_of(
        _one("Add"),
        _one("Subtract", name=st.none() | st.just("less")),
        _one("Multiply"),
        _one("Divide", by_zero=_BY_ZERO),
    ),
    NUMBER_END,
)
