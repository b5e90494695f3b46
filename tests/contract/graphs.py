"""Random workflows of all operators that can be compiled, in branches and chains.

`workflows(kinds)` draws a `Graph`, a description that Hypothesis can print. `Graph.build` makes a
new `nvtabular.Workflow` of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import strategies as st

from plumbline import expressions
from plumbline.columns.kinds import CLICK, ELEMENT_KINDS, FeatureKind
from plumbline.nvtabular.frames import merlin_input_schema
from plumbline.nvtabular.library import ColumnSelector, Subgraph, Tags, Workflow, ops
from plumbline.nvtabular.patched import patched

OWN: dict[str, Any] = {
    name: getattr(expressions, name) for name in expressions.__all__ if name != "Where"
}
"""The operators that NVTabular does not have."""

STATISTICS = ("count", "sum", "mean", "std", "var", "min", "max")


@dataclass(frozen=True)
class Operator:
    """An operator's name and parameters."""

    name: str
    parameters: dict[str, Any] = field(default_factory=dict)
    positional: tuple[Any, ...] = ()

    def build(self, number: str) -> Any:
        """Make the operator; a parameter that is a branch becomes its node."""
        parameters = {
            name: value.build(f"{number}m") if isinstance(value, Branch) else value
            for name, value in self.parameters.items()
        }
        operator = OWN.get(self.name) or getattr(ops, self.name)
        return operator(*self.positional, **parameters)


@dataclass(frozen=True)
class Branch:
    """Columns (or groups of columns), and the operators that are applied to them, in order.

    The outputs of the branch `inner` are inputs too. The outputs of branch n end in `_n`, so that
    names are unique; the operator `last` comes after this renaming.

    `tag` selects all columns that have it, in place of `columns`. `subtracted` are columns that the
    operators get too, and whose outputs are subtracted then: by their `names`, by a `selector`, by
    a `node` of the graph, or by a `list` of both; before they are renamed, or after.
    """

    columns: tuple[str | tuple[str, ...], ...]
    operators: tuple[Operator, ...]
    inner: Branch | None = None
    last: Operator | None = None
    tag: Tags | None = None
    subtracted: tuple[str, ...] = ()
    by: str = "names"
    renamed: bool = False

    def build(self, number: str) -> Any:
        selected = [name if isinstance(name, str) else list(name) for name in self.columns]
        node: Any = ColumnSelector([*selected, *self.subtracted])
        if self.tag is not None:
            node = ColumnSelector(tags=[self.tag])
        if self.inner is not None:
            node = self.inner.build(f"{number}i") + node
        for operator in self.operators:
            node = node >> operator.build(number)
        if self.subtracted and not self.renamed:
            node = self._less(node, [*self.subtracted])
        node = node >> ops.Rename(postfix=f"_{number}")
        if self.subtracted and self.renamed:
            node = self._less(node, [f"{name}_{number}" for name in self.subtracted])
        return node if self.last is None else node >> self.last.build(number)

    def _less(self, node: Any, names: list[str]) -> Any:
        if self.by == "list":  # in which a name is that of a raw column
            nodes = [node[[name]] >> ops.AddMetadata() for name in names]
            return node - (nodes if self.renamed else [*nodes[:1], *names[1:]])
        others = {"names": names, "selector": ColumnSelector(names), "node": node[names]}
        return node - others[self.by]


@dataclass(frozen=True)
class Graph:
    """The branches, put together one by one or in a list, and the click.

    `removed` are raw columns that `remove_inputs` removes from the finished workflow, whose schema
    is that of `kinds`. `twins` are the branches of the same number once more, with other operators:
    of their outputs, which have the same names, the last are kept. The branches of the numbers in
    `subgraphs` are subgraphs.
    """

    branches: tuple[Branch, ...]
    in_list: bool = False
    removed: tuple[str, ...] = ()
    kinds: Mapping[str, FeatureKind] = field(default_factory=dict)
    twins: Mapping[int, Branch] = field(default_factory=dict)
    subgraphs: frozenset[int] = frozenset()

    def build(self) -> Workflow:
        first, *others = (self._branch(n, branch) for n, branch in enumerate(self.branches))
        others += [branch.build(f"{n}") for n, branch in self.twins.items()]
        rest = [[*others, CLICK]] if self.in_list else [*others, CLICK]
        workflow = Workflow(sum(rest, first))
        if self.removed:
            # Not with NVTabular's operators: some need an own schema to be computed.
            workflow = patched(workflow).fit_schema(merlin_input_schema(self.kinds))
            workflow.remove_inputs([*self.removed])
        return workflow

    def _branch(self, number: int, branch: Branch) -> Any:
        node = branch.build(f"{number}")
        return Subgraph(f"part {number}", node) if number in self.subgraphs else node


def workflows(kinds: Mapping[str, FeatureKind]) -> st.SearchStrategy[Graph]:
    """Graphs of up to four branches over the columns of these kinds."""
    numbers = [name for name, kind in kinds.items() if kind == "continuous"]
    integers = [name for name, kind in kinds.items() if kind in ("integer", "hex")]
    texts = [name for name, kind in kinds.items() if kind == "string"]
    lists = [name for name, kind in kinds.items() if kind in ELEMENT_KINDS]
    keys = integers + texts
    branches: list[st.SearchStrategy[Branch]] = []
    if numbers or integers:
        measured = numbers + integers
        branches += [_numbers(measured), _bucketized(measured)]
        branches += [_less(_numbers(measured), measured), _less(_bucketized(measured), measured)]
        branches.append(_less(_hashed(numbers), numbers))
    if keys or lists:
        branches += [_categorified(keys + lists), _hashed(keys + lists)]
        branches.append(_less(_categorified(keys + lists), keys + lists))
        branches.append(_shared(texts + _of(lists, kinds, "string")))
        branches.append(_shared(integers + _of(lists, kinds, "integer", "hex")))
    if keys:
        branches += [_combined(keys), _crossed(keys), _statistics(keys, numbers + integers)]
        branches += [_encoded(keys, numbers), _on_ids(keys, numbers)]
    if keys and numbers:
        branches += [_beside(keys, numbers), _of_nodes(keys, numbers)]
    branches += [_filled_keys(integers, _INTEGER), _filled_keys(texts, _WORD), _sliced(lists)]
    branches += [_tagged(tag, numbers, keys + lists) for tag in TAGS]
    drawn = st.lists(st.one_of(branches), min_size=1, max_size=4)
    return st.builds(_graph, drawn, st.booleans(), _removed([*kinds]), st.just(kinds))


def _graph(branches: list[Branch], in_list: bool, removed: tuple[str, ...], kinds: Any) -> Graph:
    # Merlin takes a difference in a list for a selection of the subtracted names.
    listed = in_list and not any(branch.renamed and not branch.last for branch in branches)
    # Merlin's `remove_inputs` cuts the nodes off from which a node is subtracted.
    cut = any(branch.subtracted and branch.by in ("node", "list") for branch in branches)
    return Graph(tuple(branches), listed, () if cut else removed, kinds)


def _removed(names: list[str]) -> st.SearchStrategy[tuple[str, ...]]:
    """None in most graphs."""
    some = st.lists(st.sampled_from([*names, CLICK]), min_size=1, max_size=2, unique=True)
    return st.just(()) | st.just(()) | some.map(tuple)


def _less(branches: st.SearchStrategy[Branch], names: list[str]) -> st.SearchStrategy[Branch]:
    """Branches most of which subtract further columns, and have an operator after that."""
    some = st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True)
    subtracted = some if names else st.just([])
    ways = st.sampled_from(["names", "selector", "node", "list"])
    last = st.none() | st.just(Operator("Rename", {"postfix": "_last"}))

    def of(
        branch: Branch, more: list[str], by: str, renamed: bool, after: Operator | None
    ) -> Branch:
        others = tuple(name for name in more if name not in branch.columns)
        if not others:
            return branch
        return replace(branch, subtracted=others, by=by, renamed=renamed, last=after)

    return st.builds(of, branches, subtracted, ways, st.booleans(), last)


TAGS = (Tags.CONTINUOUS, Tags.CATEGORICAL)


def _tagged(tag: Tags, numbers: list[str], others: list[str]) -> st.SearchStrategy[Branch]:
    """An operator on all columns that have a tag."""
    if not (numbers if tag is Tags.CONTINUOUS else others):
        return st.nothing()
    one = _FILL if tag is Tags.CONTINUOUS else _categorify()
    return one.map(lambda operator: Branch((), (operator,), tag=tag))


def _of(lists: list[str], kinds: Mapping[str, FeatureKind], *elements: str) -> list[str]:
    return [name for name in lists if ELEMENT_KINDS[kinds[name]] in elements]


def _some(names: list[str], least: int = 1, most: int = 3) -> st.SearchStrategy[tuple[str, ...]]:
    if len(names) < least:
        return st.nothing()
    return st.lists(st.sampled_from(names), min_size=least, max_size=most, unique=True).map(tuple)


def _operator(name: str, **parameters: st.SearchStrategy[Any]) -> st.SearchStrategy[Operator]:
    return st.builds(Operator, st.just(name), st.fixed_dictionaries(parameters))


_NUMBER = st.integers(-16, 16).map(lambda n: n / 8)
_FLAGS = st.booleans()
_FILL = _operator("FillMissing", fill_val=_NUMBER) | _operator("FillMedian")
_CLIP = _operator("Clip", min_value=_NUMBER, max_value=st.none() | _NUMBER)
_EXACT = st.lists(_FILL | _CLIP, max_size=2)
"""Steps that compute the same number on every machine, so that ids may depend on it."""

_LOG = st.builds(
    lambda least: (Operator("Clip", {"min_value": least}), Operator("LogOp")),
    st.integers(0, 8).map(lambda n: n / 8),
)
_NORMAL = (_operator("Normalize") | _operator("NormalizeMinMax")).map(lambda one: (one,))


def _numbers(names: list[str]) -> st.SearchStrategy[Branch]:
    flags = st.one_of(
        _operator("FillMissing", fill_val=_NUMBER, add_binary_cols=_FLAGS),
        _operator("FillMedian", add_binary_cols=_FLAGS),
    )
    scores = _operator("QuantileTransform", knots=st.integers(2, 6))
    exact = st.lists(flags, max_size=1)
    start = exact | st.builds(lambda first, one: [*first, one], exact, scores)
    rest = st.lists(_FILL.map(lambda one: (one,)) | _LOG | _NORMAL, max_size=3)
    chains = st.builds(lambda first, more: (*first, *(o for m in more for o in m)), start, rest)
    return st.builds(Branch, _some(names), chains.filter(len))


def _bucketized(names: list[str]) -> st.SearchStrategy[Branch]:
    boundaries = st.lists(_NUMBER, max_size=4).map(sorted)
    last = _operator("Bucketize", boundaries=boundaries)
    last |= _operator("QuantileBucketize", buckets=st.integers(1, 6))
    return st.builds(lambda c, e, b: Branch(c, (*e, b)), _some(names), _EXACT, last)


def _hashed(names: list[str]) -> st.SearchStrategy[Branch]:
    last = _operator("HashBucket", num_buckets=st.integers(1, 50))
    return st.builds(lambda columns, one: Branch(columns, (one,)), _some(names), last)


_DROP = st.lists(_operator("DropLowCardinality", min_cardinality=st.integers(0, 6)), max_size=1)


@st.composite
def _categorify(draw: st.DrawFn, encode_type: str = "joint") -> Operator:
    parameters: dict[str, Any] = {"encode_type": encode_type}
    buckets = draw(st.none() | st.integers(1, 5))
    if buckets:
        parameters["num_buckets"] = buckets
    chosen = draw(st.sampled_from(["all", "threshold", "limit"]))
    if chosen == "threshold":
        parameters["freq_threshold"] = draw(st.integers(1, 3))
    elif chosen == "limit":
        parameters["max_size"] = draw(st.integers(2 + (buckets or 1), 9))
    if draw(st.booleans()):
        parameters["single_table"] = True
    return Operator("Categorify", parameters)


def _categorified(names: list[str]) -> st.SearchStrategy[Branch]:
    return st.builds(
        lambda columns, one, drop: Branch(columns, (one, *drop)),
        _some(names),
        _categorify(),
        _DROP,
    )


def _shared(names: list[str]) -> st.SearchStrategy[Branch]:
    together = _some(names, 2)
    return st.builds(lambda group, one: Branch((group,), (one,)), together, _categorify())


def _combined(names: list[str]) -> st.SearchStrategy[Branch]:
    if len(names) < 2:
        return st.nothing()
    groups = st.lists(_some(names, 2), min_size=1, max_size=2, unique_by=lambda g: "_".join(g))
    return st.builds(lambda g, one: Branch(tuple(g), (one,)), groups, _categorify("combo"))


def _crossed(names: list[str]) -> st.SearchStrategy[Branch]:
    last = _operator("HashedCross", num_buckets=st.integers(1, 50))
    return st.builds(lambda group, one: Branch((group,), (one,)), _some(names, 2), last)


def _keys(names: list[str]) -> st.SearchStrategy[tuple[Any, ...]]:
    """Single columns, groups of columns, or both."""
    single = _some(names, 1, 2)
    grouped = _some(names, 2).map(lambda group: (group,))
    return single | grouped | st.builds(lambda a, b: (*a, *b), single, grouped)


def _statistics(names: list[str], measured: list[str]) -> st.SearchStrategy[Branch]:
    stats = st.lists(st.sampled_from(STATISTICS), min_size=1, max_size=4, unique=True)
    columns = _some(measured, 1, 2).map(list) if measured else st.nothing()
    last = _operator("JoinGroupby", stats=stats, cont_cols=columns) | _operator("JoinGroupby")
    return st.builds(lambda keys, one: Branch(keys, (one,)), _keys(names), last)


def _target_encoding(numbers: list[str]) -> st.SearchStrategy[Operator]:
    """Without folds, so that training rows are encoded like other rows."""
    target = st.just(CLICK) | st.just([CLICK])
    if numbers:
        target = target | st.lists(st.sampled_from([CLICK, *numbers]), min_size=1, unique=True)
    return _operator(
        "TargetEncoding",
        target=target,
        kfold=st.just(1),
        p_smooth=st.sampled_from([0, 1, 20, 0.5]),
    )


def _encoded(names: list[str], numbers: list[str]) -> st.SearchStrategy[Branch]:
    last = _target_encoding(numbers)
    return st.builds(lambda keys, one: Branch(keys, (one,)), _keys(names), last)


def _on_ids(names: list[str], numbers: list[str]) -> st.SearchStrategy[Branch]:
    """An operator on the ids of another operator."""
    ids = _categorify() | _operator("HashBucket", num_buckets=st.integers(1, 9))
    of_ids = st.one_of(
        _categorify().map(lambda one: (one,)),
        _operator("HashBucket", num_buckets=st.integers(1, 9)).map(lambda one: (one,)),
        _operator("HashedCross", num_buckets=st.integers(1, 9)).map(lambda one: (one,)),
        _target_encoding(numbers).map(lambda one: (one, Operator("Normalize"))),
    )
    return st.builds(lambda columns, a, b: Branch(columns, (a, *b)), _some(names), ids, of_ids)


def _beside(names: list[str], numbers: list[str]) -> st.SearchStrategy[Branch]:
    """Keys together with the buckets of numbers."""
    last = st.one_of(
        _operator("HashedCross", num_buckets=st.integers(1, 50)),
        _operator("JoinGroupby", cont_cols=_some(numbers).map(list), stats=st.just(["mean"])),
        _target_encoding(numbers),
    )
    return st.builds(
        lambda inner, columns, one: Branch(columns, (one,), inner),
        _bucketized(numbers),
        _some(names),
        last,
    )


def _of_nodes(names: list[str], numbers: list[str]) -> st.SearchStrategy[Branch]:
    """Statistics of the outputs of other operators."""
    measured = _numbers(numbers)
    stats = st.lists(st.sampled_from(STATISTICS), min_size=1, max_size=3, unique=True)
    last = st.one_of(
        _operator("JoinGroupby", cont_cols=measured, stats=stats),
        _operator("TargetEncoding", target=measured, kfold=st.just(1), p_smooth=st.just(2)),
    )
    return st.builds(lambda keys, one: Branch(keys, (one,)), _keys(names), last)


_INTEGER = st.sampled_from([-1, 0, 2, 2**53])
_WORD = st.sampled_from(["missing", "a", "漢字"])


def _filled_keys(names: list[str], value: st.SearchStrategy[Any]) -> st.SearchStrategy[Branch]:
    """Missing keys become a key like any other."""
    fill = _operator("FillMissing", fill_val=value)
    last = _categorify() | _operator("HashBucket", num_buckets=st.integers(1, 50))
    last |= _target_encoding([]) | _operator("JoinGroupby")
    return st.builds(lambda columns, *ops: Branch(columns, ops), _some(names), fill, last)


def _sliced(names: list[str]) -> st.SearchStrategy[Branch]:
    """A part of each list before it is encoded, or after that with padding; or its length."""
    bound = st.integers(-3, 3)
    part = _operator("ListSlice", start=bound, end=st.none() | bound)
    padded = _operator(
        "ListSlice", start=bound.filter(bool), pad=st.just(True), pad_value=st.just(0)
    )
    ids = _categorify() | _operator("HashBucket", num_buckets=st.integers(1, 50))
    chains = st.one_of(
        st.tuples(part, st.just(Operator("ValueCount")), ids),
        st.tuples(ids, padded),
        st.tuples(part, st.just(Operator("ListLength")), _FILL),
    )
    return st.builds(Branch, _some(names), chains)
