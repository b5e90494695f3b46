"""The nodes of the native encoder against the steps in NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plumbline.base.native import native, uses_native
from plumbline.columns.keys import pack
from plumbline.columns.value_hash import combined_hash
from plumbline.columns.values import NULL_INT64, Text, Values
from plumbline.features.lookup.tables import Tables
from plumbline.features.operators.bucketize import Bucketize
from plumbline.features.operators.categorify import Categorify
from plumbline.features.operators.clip import Clip
from plumbline.features.operators.fill_key import FillKey
from plumbline.features.operators.fill_missing import FillMissing
from plumbline.features.operators.hashed_cross import HashedCross
from plumbline.features.operators.is_missing import IsMissing
from plumbline.features.operators.keyed_key import KeyedKey
from plumbline.features.operators.keyed_value import KeyedValue
from plumbline.features.operators.log import Log
from plumbline.features.operators.normalize import Normalize
from plumbline.features.operators.normalize_min_max import NormalizeMinMax
from plumbline.features.operators.quantile_transform import Interpolate
from plumbline.features.steps.native_nodes import NativeNode, NativeNodes, Position
from plumbline.features.steps.step import Step
from tests.contract.tables import native_setting

pytestmark = pytest.mark.skipif(not uses_native(), reason="plumbline._native is not in use")
relaxed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])

NAN = math.nan
NO_TABLES = Tables(Path())

finite = st.floats(-1e6, 1e6)
STEPS: st.SearchStrategy[Step] = st.one_of(
    finite.map(FillMissing),
    st.tuples(finite, finite).map(lambda bounds: Clip(min(bounds), max(bounds))),
    finite.map(lambda low: Clip(low, None)),
    finite.map(lambda high: Clip(None, high)),
    st.tuples(finite, st.floats(0.001, 100) | st.just(0.0)).map(lambda p: Normalize(*p)),
    st.tuples(finite, finite | st.just(0.0)).map(lambda p: NormalizeMinMax(min(p), max(p))),
    st.just(IsMissing()),
    st.lists(st.tuples(finite, finite), min_size=1, max_size=9, unique_by=lambda p: p[0]).map(
        lambda line: Interpolate(*zip(*sorted(line), strict=True))
    ),
)


def encoded(
    columns: Sequence[Values],
    build: Callable[[NativeNodes, list[NativeNode]], Sequence[NativeNode]],
    dtype: type = np.float32,
) -> list[Any]:
    """Run the nodes that `build` adds to those of the columns; one output column each."""
    nodes = NativeNodes()
    tensors: dict[str, list[Any]] = {"numbers": [], "doubles": [], "integers": [], "texts": []}
    sources = []
    for column in columns:
        position, tensor = placed(column)
        sources.append(nodes.raw_column((position, len(tensors[position]), 0)))
        tensors[position].append(tensor)
    built = build(nodes, sources)
    is_ids = dtype != np.float32
    outputs = dict(enumerate(built))
    nodes.set_outputs(outputs if is_ids else {}, {} if is_ids else outputs)
    rows = len(columns[0])
    out = np.empty((rows, len(built)), dtype, order="F")
    none = np.empty((rows, 0), np.float32 if is_ids else np.int64)
    nodes.encoder.run(*tensors.values(), *((out, none) if is_ids else (none, out)))
    return list(out.T)


def placed(column: Values) -> tuple[Any, Any]:
    """The kind of tensor of a column, and the tensor."""
    if isinstance(column, Text):
        return "texts", (column.offsets, column.data)
    assert isinstance(column, np.ndarray)
    kinds = {"float32": "numbers", "float64": "doubles", "int64": "integers"}
    return kinds[column.dtype.name], column[:, None]


def one(step: Step, tables: Tables = NO_TABLES) -> Any:
    """Builds the node of one step on all columns."""
    return lambda nodes, sources: [step.native(nodes, sources, tables)]


def chain(steps: Sequence[Step]) -> Any:
    def build(nodes: NativeNodes, sources: list[NativeNode]) -> list[NativeNode]:
        for step in steps:
            node = step.native(nodes, sources, NO_TABLES)
            assert node is not None
            sources = [node]
        return sources

    return build


def applied(steps: Sequence[Step], values: np.ndarray) -> np.ndarray:
    result = values.astype(np.float64)
    for step in steps:
        result = step.bind(NO_TABLES)(result)
    return result


@given(st.lists(st.floats(width=32), max_size=600), st.lists(STEPS, max_size=4), st.booleans())
def test_chains_of_numbers(values: list[float], steps: list[Step], is_wide: bool) -> None:
    column = np.array(values, np.float64 if is_wide else np.float32)
    (got,) = encoded([column], chain(steps))
    with np.errstate(all="ignore"):
        wanted = applied(steps, column).astype(np.float32)
    assert np.array_equal(got, wanted, equal_nan=True)


@given(st.lists(st.floats(width=32) | st.just(-1.0), min_size=1, max_size=40))
def test_logarithm(values: list[float]) -> None:
    column = np.array(values, np.float32)
    (got,) = encoded([column], one(Log()))
    # float64 logarithms may differ in the last bit, which rarely shows in float32.
    np.testing.assert_array_max_ulp(got, applied([Log()], column).astype("f4"), 1)


def test_logarithms_are_bitwise_equal_for_one_row_and_a_batch() -> None:
    column = np.random.default_rng(1).lognormal(3.0, 6.0, 1001).astype(np.float32)
    build = chain([Log(), Normalize(1.0, 1e-8)])
    (together,) = encoded([column], build)
    alone = [encoded([column[row : row + 1]], build)[0][0] for row in range(len(column))]
    assert np.array_equal(together, alone)


@given(
    st.lists(st.floats(width=32) | st.sampled_from([0.0, -0.0, 1.5, NAN]), max_size=50),
    st.lists(finite | st.sampled_from([0.0, 1.5]), max_size=20, unique=True).map(sorted),
)
def test_bucketize(values: list[float], boundaries: list[float]) -> None:
    column = np.array(values, np.float32)
    step = Bucketize(tuple(boundaries))
    (got,) = encoded([column], one(step), np.int64)
    assert np.array_equal(got, step.apply(column))


# Keys. Few values, so that they repeat, are missing, and are missing together.
INTEGERS = st.sampled_from([NULL_INT64, 0, 1, -1, 2**62])
TEXTS = st.sampled_from([b"", b"a", b"b\0", b"eight by", b"more than eight bytes", "é".encode()])
NUMBERS = st.sampled_from([NAN, 0.0, -0.0, 1.5])
ROWS = st.sampled_from([0, 1, 2, 64, 65, 300])


@st.composite
def key_columns(draw: st.DrawFn, *, numbers: bool = False, most: int = 3) -> list[Values]:
    """Columns of integers and text, and of numbers, of a length that is drawn."""
    kinds = ["integers", "texts", *(["numbers"] if numbers else [])]
    rows = draw(ROWS)
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    columns: list[Values] = []
    for kind in draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=most)):
        elements = {"integers": INTEGERS, "texts": TEXTS, "numbers": NUMBERS}[kind]
        some = draw(st.lists(elements, min_size=1, max_size=5))
        picked = [some[index] for index in random.integers(0, len(some), rows)]
        if kind == "texts":
            columns.append(Text.from_objects(picked))
        else:
            columns.append(np.array(picked, np.int64 if kind == "integers" else np.float32))
    return columns


@given(key_columns())
def test_packed_keys(columns: list[Values]) -> None:
    natively = pack(columns)
    with native_setting("0"):
        wanted = pack(columns)
    assert np.array_equal(natively.offsets, wanted.offsets)
    assert np.array_equal(natively.data, wanted.data)


@given(key_columns(numbers=True), st.sampled_from([1, 2, 7, 1024, 10**6 + 3]))
def test_hashes_of_several_columns(columns: list[Values], buckets: int) -> None:
    step = HashedCross(buckets)
    (got,) = encoded(columns, one(step), np.int64)
    with native_setting("0"):
        assert np.array_equal(got, step.apply(*columns))


def part_arrays(columns: Sequence[Values], rows: np.ndarray) -> list[pa.Array]:
    """The distinct keys among some rows that are not missing, as arrays of their parts."""
    seen = {}
    for row in rows.tolist():
        key = tuple(
            c.to_objects()[row] if isinstance(c, Text) else int(c[row])  # type: ignore[index]
            for c in columns
        )
        if any(part not in (b"", NULL_INT64) for part in key):
            seen[key] = None
    return [
        pa.array(
            [None if key[n] in (b"", NULL_INT64) else _plain(key[n]) for key in seen],
            pa.string() if isinstance(column, Text) else pa.int64(),
        )
        for n, column in enumerate(columns)
    ]


def _plain(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


@relaxed
@given(key_columns(), st.integers(0, 2**32), st.sampled_from([1, 3, 8]), st.booleans())
def test_look_ups_of_keys(
    tmp_path_factory: pytest.TempPathFactory,
    columns: list[Values],
    seed: int,
    buckets: int,
    narrow: bool,
) -> None:
    """Ids and numbers of keys that are known, unknown, and missing."""
    folder = tmp_path_factory.mktemp("plan")
    rows = len(columns[0])
    known = np.flatnonzero(np.random.default_rng(seed).random(rows) < 0.6)[:20]
    parts = part_arrays(columns, known)
    names = [f"c{n}" for n in range(len(columns))]
    count = len(parts[0])
    step = Categorify.written(
        folder, "ids", parts, np.ones(count, np.int64),
        frequency_threshold=0, limit=None, num_buckets=buckets, sources=names,
    )  # fmt: skip
    values = np.where(np.arange(count) % 5 == 4, NAN, np.arange(count) / 8)
    keyed = KeyedValue.written(folder, "value", parts, names, values, default=-1.5, null=None)
    tables = Tables(folder)
    (ids,) = encoded(columns, one(step, tables), np.int32 if narrow else np.int64)
    (numbers,) = encoded(columns, one(keyed, tables))
    with native_setting("0"):
        tables = Tables(folder)
        assert np.array_equal(ids, step.bind(tables)(*columns))
        wanted = keyed.bind(tables)(*columns)
    assert np.array_equal(numbers, wanted.astype(np.float32), equal_nan=True)


@relaxed
@given(key_columns(), st.integers(0, 2**32), st.booleans(), st.booleans())
def test_joined_and_filled_keys(
    tmp_path_factory: pytest.TempPathFactory,
    columns: list[Values],
    seed: int,
    is_text: bool,
    of_null: bool,
) -> None:
    """Integers or texts of keys that are known, unknown, and missing; then filled; hashed."""
    folder = tmp_path_factory.mktemp("plan")
    rows = len(columns[0])
    parts = part_arrays(columns, np.flatnonzero(np.random.default_rng(seed).random(rows) < 0.6))
    numbers = [None if n % 5 == 4 else n for n in range(len(parts[0]))]
    words = [None if n is None else f"é{n}" for n in numbers]
    values = pa.array(words, pa.string()) if is_text else pa.array(numbers, pa.int64())
    files = KeyedKey.write(folder, "value", parts, [f"c{n}" for n in range(len(columns))], values)
    null = ("漢字" if is_text else 7) if of_null else None
    join = KeyedKey(*files, "text" if is_text else "integer", null)
    fill, cross = FillKey("filled" if is_text else 2**53 + 1), HashedCross(10**6 + 3)
    tables = Tables(folder)

    def build(nodes: NativeNodes, sources: list[NativeNode]) -> list[NativeNode]:
        joined = join.native(nodes, sources, tables)
        filled = fill.native(nodes, [joined], tables)
        return [cross.native(nodes, [node], tables) for node in (joined, filled)]

    got = encoded(columns, build, np.int64)
    with native_setting("0"):
        joined = join.bind(Tables(folder))(*columns)
        for one_got, keys in zip(got, (joined, fill.apply(joined)), strict=True):
            assert np.array_equal(one_got, cross.apply(keys))


def test_keys_whose_hashes_collide(tmp_path: Path) -> None:
    """Exclusive or of equal hashes is 0, as of other equal ones: the ids must still differ."""
    one_column = np.array([5, 5, 9, 9, NULL_INT64])
    other = np.array([5, 9, 5, 9, NULL_INT64])
    assert len(set(combined_hash([one_column, other])[[0, 3, 4]].tolist())) == 1
    parts = [pa.array([9, 5]), pa.array([9, 5])]
    step = Categorify.written(
        tmp_path, "ids", parts, np.ones(2, np.int64),
        frequency_threshold=0, limit=None, num_buckets=1, sources=["a", "b"],
    )  # fmt: skip
    (ids,) = encoded([one_column, other], one(step, Tables(tmp_path)), np.int64)
    assert ids.tolist() == [4, 2, 2, 3, 1]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("rows", [1, 65])
def test_many_columns_of_one_tensor(tmp_path: Path, rows: int, order: Any) -> None:
    """Columns of a request's tensors, with strides, and outputs in both orders."""
    random = np.random.default_rng(rows)
    table = random.integers(0, 60, (rows, 7))
    nodes, tables = NativeNodes(), Tables(tmp_path)
    outputs, wanted = {}, []
    for column in range(7):
        step = Categorify.written(
            tmp_path, f"{column}", [pa.array(random.permutation(40)[: column * 6])],
            np.ones(column * 6, np.int64),
            frequency_threshold=0, limit=None, num_buckets=1, sources=["c"],
        )  # fmt: skip
        source = nodes.raw_column(("integers", 0, column))
        outputs[column + 1] = step.native(nodes, [source], tables)
        wanted.append(step.bind(tables)(table[:, column]).tolist())
    nodes.set_outputs(outputs, {})
    ids = np.full((rows, 9), -7, order=order)
    nodes.encoder.run([], [], [table], [], ids, np.empty((rows, 0), np.float32))
    assert ids[:, 1:8].T.tolist() == wanted
    assert (ids[:, [0, 8]] == -7).all()  # columns without a node are left as they are


def test_ids_are_keys_and_numbers(tmp_path: Path) -> None:
    """A tree: ids of a number, crossed with text; and the ids as a number."""
    number, text = np.array([0.5, NAN, 3.0], np.float32), Text.from_objects([b"x", b"", b"y"])
    buckets, cross = Bucketize((1.0, 2.0)), HashedCross(97)

    def build(nodes: NativeNodes, sources: list[NativeNode]) -> list[NativeNode]:
        ids = buckets.native(nodes, sources[:1], NO_TABLES)
        assert ids == buckets.native(nodes, sources[:1], NO_TABLES)  # equal nodes are one
        return [cross.native(nodes, [ids, sources[1]], NO_TABLES), ids]

    crossed, ids = encoded([number, text], build, np.int64)
    assert np.array_equal(ids, buckets.apply(number))
    assert np.array_equal(crossed, cross.apply(ids, text))
    (as_number,) = encoded([number], chain([buckets, FillMissing(9.0), Normalize(1.0, 2.0)]))
    assert as_number.tolist() == [-0.5, 0.5, 0.5]


def test_equal_indexes_are_loaded_and_searched_once(tmp_path: Path) -> None:
    parts = [pa.array([1, 2]), pa.array(["a", "b"])]
    steps = [
        KeyedValue.written(
            tmp_path, name, parts, ["i", "s"], np.array([value, 7.0]), default=0.0, null=None
        )
        for name, value in (("sum", 3.0), ("mean", 1.5))
    ]
    tables, nodes = Tables(tmp_path), NativeNodes()
    positions = [tables.positions(s.table, s.sha256, s.index_sha256) for s in steps]
    assert positions[0] is positions[1]
    keys = [nodes.raw_column(("integers", 0, 0)), nodes.raw_column(("texts", 0, 0))]
    assert nodes.positions(positions[0], keys) == nodes.positions(positions[1], keys)


def test_integers_and_text_as_numbers() -> None:
    text = Text.from_objects([b"", b"x"])
    (got,) = encoded([np.array([NULL_INT64, 4])], one(FillMissing(9.0)))
    assert got.tolist() == [9, 4]
    (got,) = encoded([text], one(IsMissing()))
    assert got.tolist() == [1, 0]


def test_numbers_beyond_float32_are_infinite() -> None:
    (got,) = encoded([np.array([1e30, -1e30], np.float32)], one(Normalize(0.0, 1e-30)))
    assert got.tolist() == [math.inf, -math.inf]


@pytest.mark.parametrize(
    ("integers", "ids", "problem"),
    [
        ([], np.empty((2, 1), np.int64), r"integers: wanted 1 tensor\(s\), got 0"),
        ([np.zeros((2, 1), np.int64)], np.empty((2, 1), np.int64), "wanted column 1, got 1 column"),
        ([np.zeros((2, 2), np.int64)], np.empty((2, 0), np.int64), "fewer columns of ids than the"),
        ([np.zeros((2, 2), np.int64)], np.empty((3, 1), np.int64), "ids_out: wanted 2 rows, got 3"),
        ([np.zeros((2, 2), np.int32)], np.empty((2, 1), np.int64), "integers: wanted int64 of 2"),
        ([np.zeros((2, 2), np.int64)], np.empty((2, 1), np.float32), "ids_out: wanted int64 of 2"),
    ],
)
def test_wrong_tensors_are_refused(integers: list, ids: np.ndarray, problem: str) -> None:
    nodes = NativeNodes()
    source = nodes.raw_column(("integers", 0, 1))
    nodes.set_outputs({0: nodes.hash_bucket(4, [source])}, {})
    with pytest.raises((TypeError, ValueError), match=problem):
        nodes.encoder.run([], [], integers, [], ids, np.empty((2, 0), np.float32))


def test_tensors_of_different_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="same number of rows, got 2 and 3"):
        encoded([np.zeros(2, np.int64), np.zeros(3, np.int64)], one(HashedCross(4)), np.int64)


RAW: tuple[Position, ...] = (("numbers", 0, 0), ("integers", 0, 0), ("texts", 0, 0))


@pytest.mark.parametrize(
    ("add", "problem"),
    [
        (lambda e: e.raw_column("tables", 0, 0), "No kind of tensor is called 'tables'"),
        (lambda e: e.operation("sine", [1.0, 1.0], 0), "No operation is called 'sine'"),
        (lambda e: e.operation("clip", [1.0], 0), "'clip' cannot take 1 numbers"),
        (lambda e: e.bucketize([2.0, 1.0], 0), "Boundaries must ascend"),
        (lambda e: e.hash_bucket(0, [1]), "one bucket or more, got 0"),
        (lambda e: e.hash_bucket(2, []), "one part or more, got none"),
        (lambda e: e.key([]), "one part or more, got none"),
        (lambda e: e.key([0]), "integers or text"),
        (lambda e: e.key([7]), "There is no node 7"),
        (lambda e: e.numbers_at(np.zeros(1), 0.0, 0.0, 1, [1]), "are those of a look-up"),
        (lambda e: e.integers_at(np.zeros(1, int), 0, 1, [1]), "are those of a look-up"),
        (lambda e: e.texts_at(np.zeros(1, int), np.zeros(0, np.uint8), b"", 2, [2]), "a look-up"),
        (lambda e: e.fill_integers(1, 2), "An integer fills integers"),
        (lambda e: e.fill_texts(b"a", 1), "A text fills text"),
        (lambda e: e.set_outputs([(0, 0)], []), "Ids are integers"),
        (lambda e: e.set_outputs([], [(3, 0)]), "There is no node 3"),
    ],
)
def test_wrong_nodes_are_refused(add: Any, problem: str) -> None:
    encoder = native.Encoder()
    for position in RAW:
        encoder.raw_column(*position)
    with pytest.raises(ValueError, match=problem):
        add(encoder)


def test_look_ups_want_values_of_their_index(tmp_path: Path) -> None:
    step = Categorify.written(
        tmp_path, "ids", [pa.array([1])], np.ones(1, np.int64),
        frequency_threshold=0, limit=None, num_buckets=1, sources=["a"],
    )  # fmt: skip
    positions = Tables(tmp_path).positions(step.vocabulary, step.sha256, step.index_sha256)
    encoder = native.Encoder()
    for position in RAW:
        encoder.raw_column(*position)
    with pytest.raises(ValueError, match="an index of the same kind"):
        encoder.look_up(positions.index.native, 2)


def test_pack_objects() -> None:
    table = np.array([[b"ab", b""], [b"c", b"xyz"]], object)
    offsets, data = native.pack_objects(table[::-1, 0])
    assert Text(offsets, data).to_objects().tolist() == [b"c", b"ab"]
    with pytest.raises(TypeError, match="row 1: wanted bytes, got str"):
        native.pack_objects(np.array([b"a", "b"], object))


def test_parts_of_keys_that_differ_in_their_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in their rows"):
        native.pack_keys([np.zeros(2, np.int64), np.zeros(3, np.int64)])


@pytest.mark.timeout(10)
def test_many_outputs_are_grouped_in_time_for_each() -> None:
    """A plan by anybody may have as many as its file has room for."""
    encoder = native.Encoder()
    source = encoder.raw_column("numbers", 0, 0)
    nodes = [encoder.operation("clip", [0.0, float(number)], source) for number in range(60_000)]
    encoder.set_outputs([], [(node, column) for column, node in enumerate(nodes)])
    numbers = np.full((70, 1), 1e9, np.float32)
    ids, dense = np.empty((70, 0), np.int64), np.empty((70, len(nodes)), np.float32, order="F")
    encoder.run([numbers], [], [], [], ids, dense)
    assert np.array_equal(dense[3], np.arange(len(nodes)))
