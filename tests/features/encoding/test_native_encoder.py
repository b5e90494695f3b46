"""The native encoder against the steps in NumPy."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline.base.native import native, uses_native
from plumbline.columns.pandas_hash import hash_integers, hash_numbers, hash_text
from plumbline.columns.values import NULL_INT64, Text
from plumbline.features.lookup.index import (
    IntegerIndex,
    TextIndex,
    build_integer_index,
    build_text_index,
)
from plumbline.features.operators.bucketize import Bucketize
from plumbline.features.operators.clip import Clip
from plumbline.features.operators.fill_missing import FillMissing
from plumbline.features.operators.is_missing import IsMissing
from plumbline.features.operators.log import Log
from plumbline.features.operators.normalize import Normalize
from plumbline.features.operators.normalize_min_max import NormalizeMinMax
from plumbline.features.operators.quantile_transform import Interpolate
from plumbline.features.steps.native_column import Operation
from plumbline.features.steps.step import Step

pytestmark = pytest.mark.skipif(not uses_native(), reason="plumbline._native is not in use")

NAN = math.nan
NO_IDS = np.empty((0, 0), np.int64)

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


def operations_of(steps: Sequence[Step]) -> list[Operation]:
    return [(step.op, step.operands() or ()) for step in steps]


def applied(steps: Sequence[Step], values: np.ndarray) -> np.ndarray:
    result = values.astype(np.float64)
    for step in steps:
        result = step.bind(None)(result)  # type: ignore[arg-type]
    return result


@given(st.lists(st.floats(width=32), max_size=600), st.lists(STEPS, max_size=4))
def test_chains_of_numbers(values: list[float], chain: list[Step]) -> None:
    table = np.array([values, values], np.float32).T.copy()
    encoder = native.Encoder()
    encoder.add_chain(("numbers", 0, 1), operations_of(chain), 0)
    dense = np.empty((len(values), 1), np.float32)
    encoder.run([table], [], [], NO_IDS, dense)
    with np.errstate(all="ignore"):
        wanted = applied(chain, table[:, 1]).astype(np.float32)
    assert np.array_equal(dense[:, 0], wanted, equal_nan=True)


@given(st.lists(st.floats(width=32) | st.just(-1.0), min_size=1, max_size=40))
def test_logarithm(values: list[float]) -> None:
    column = np.array(values, np.float32)[:, None]
    encoder = native.Encoder()
    encoder.add_chain(("numbers", 0, 0), operations_of([Log()]), 0)
    dense = np.empty(column.shape, np.float32)
    encoder.run([column], [], [], NO_IDS, dense)
    # float64 logarithms may differ in the last bit, which rarely shows in float32.
    np.testing.assert_array_max_ulp(dense[:, 0], applied([Log()], column[:, 0]).astype("f4"), 1)


def test_logarithms_are_bitwise_equal_for_one_row_and_a_batch() -> None:
    column = np.random.default_rng(1).lognormal(3.0, 6.0, (1001, 1)).astype(np.float32)
    encoder = native.Encoder()
    encoder.add_chain(("numbers", 0, 0), operations_of([Log(), Normalize(1.0, 1e-8)]), 0)
    together, alone = np.empty((2, *column.shape), np.float32)
    encoder.run([column], [], [], NO_IDS, together)
    for row in range(len(column)):
        encoder.run([column[row : row + 1]], [], [], NO_IDS, alone[row : row + 1])
    assert np.array_equal(together, alone)


@given(
    st.lists(st.floats(width=32) | st.sampled_from([0.0, -0.0, 1.5, NAN]), max_size=50),
    st.lists(finite | st.sampled_from([0.0, 1.5]), max_size=20, unique=True).map(sorted),
)
def test_bucketize(values: list[float], boundaries: list[float]) -> None:
    column = np.array(values, np.float32)[:, None]
    encoder = native.Encoder()
    encoder.add_bucketize(("numbers", 0, 0), [], boundaries, 0, len(boundaries), 0)
    ids = np.empty((len(values), 1), np.int64)
    encoder.run([column], [], [], ids, np.empty((len(values), 0), np.float32))
    assert np.array_equal(ids[:, 0], Bucketize(tuple(boundaries)).apply(column[:, 0]))


def integer_ids(values: np.ndarray, vocabulary: np.ndarray, slots: int) -> list[int]:
    known = {value: position for position, value in enumerate(vocabulary.tolist())}
    hashes = hash_integers(values)
    return [
        1
        if value == NULL_INT64
        else 2 + slots + known[value]
        if value in known
        else 2 + int(hashed % np.uint64(slots))
        for value, hashed in zip(values.tolist(), hashes, strict=True)
    ]


@pytest.mark.parametrize("rows", [0, 1, 2, 33, 64, 65, 1000])
@pytest.mark.parametrize("slots", [1, 3, 8])
@pytest.mark.parametrize("dtype", [np.int64, np.int32])
@pytest.mark.parametrize("order", ["C", "F"])
def test_look_ups_of_many_columns(
    tmp_path: Path, rows: int, slots: int, dtype: type, order: str
) -> None:
    random = np.random.default_rng(rows)
    encoder, wanted, indexes = native.Encoder(), [], []
    table = random.integers(0, 60, (rows, 5))
    table[random.random(table.shape) < 0.2] = NULL_INT64
    texts = []
    for column in range(5):
        vocabulary = random.permutation(40)[: column * 10]
        build_integer_index(tmp_path / f"{column}", vocabulary)
        indexes.append(IntegerIndex.open(tmp_path / f"{column}"))
        position = ("integers", 0, column)
        encoder.add_look_up(position, indexes[-1].native, 2 + slots, 1, 2, slots, 2 * column)
        wanted.append(integer_ids(table[:, column], vocabulary, slots))

        names = Text.from_objects([b"a name of %d" % value for value in vocabulary.tolist()])
        build_text_index(tmp_path / f"t{column}", names)
        indexes.append(TextIndex.open(tmp_path / f"t{column}"))
        position = ("texts", column, 0)
        encoder.add_look_up(position, indexes[-1].native, 2 + slots, 1, 2, slots, 2 * column + 1)
        queries = [
            b"" if v == NULL_INT64 else b"a name of %d" % v for v in table[:, column].tolist()
        ]
        texts.append(Text.from_objects(queries))
        positions = indexes[-1].positions(texts[-1])
        unseen = 2 + (hash_text(texts[-1]) % np.uint64(slots)).astype(np.int64)
        ids = np.where(positions < 0, unseen, positions + 2 + slots)
        wanted.append(np.where(texts[-1].is_missing, 1, ids).tolist())
    ids = np.full((rows, 10), -7, dtype, order=order)
    pairs = [(text.offsets, text.data) for text in texts]
    del indexes  # the encoder keeps its indexes alive
    encoder.run([], [table[::1]], pairs, ids, np.empty((rows, 0), np.float32))
    assert ids.T.tolist() == wanted


def test_hashes() -> None:
    integers = np.array([[5], [NULL_INT64], [-1]])
    numbers = np.array([[1.5], [NAN], [-0.0]], np.float32)
    text = Text.from_objects([b"a", b"", b"bc"])
    encoder = native.Encoder()
    encoder.add_hash(("integers", 0, 0), [], 1000, 0, 77, 0)
    encoder.add_hash(("integers", 0, 0), [], 1024, 10, -1, 1)
    encoder.add_hash(("texts", 0, 0), [], 1000, 0, 77, 2)
    encoder.add_hash(("numbers", 0, 0), [("normalize", (1.0, 0.0))], 1000, 0, 77, 3)
    ids = np.empty((3, 4), np.int64)
    pairs = [(text.offsets, text.data)]
    encoder.run([numbers], [integers], pairs, ids, np.empty((3, 0), np.float32))
    hashed = hash_integers(integers[:, 0])
    assert ids[:, 0].tolist() == [int(hashed[0]) % 1000, 77, int(hashed[2]) % 1000]
    assert ids[:, 1].tolist() == [10 + int(value) % 1024 for value in hashed]
    hashed = hash_text(text)
    assert ids[:, 2].tolist() == [int(hashed[0]) % 1000, 77, int(hashed[2]) % 1000]
    hashed = hash_numbers(np.array([0.5, 0.0, -1.0]))
    assert ids[:, 3].tolist() == [int(hashed[0]) % 1000, 77, int(hashed[2]) % 1000]


def test_integers_and_text_as_numbers() -> None:
    encoder = native.Encoder()
    encoder.add_chain(("integers", 0, 1), [("fill_missing", (9.0, NAN))], 1)
    encoder.add_chain(("texts", 0, 0), [("is_missing", (NAN, NAN))], 0)
    dense = np.empty((2, 2), np.float32)
    text = Text.from_objects([b"", b"x"])
    table = np.array([[0, NULL_INT64], [0, 4]])
    encoder.run([], [table], [(text.offsets, text.data)], np.empty((2, 0), np.int64), dense)
    assert dense.tolist() == [[1, 9], [0, 4]]


def test_numbers_beyond_float32_are_infinite() -> None:
    encoder = native.Encoder()
    encoder.add_chain(("numbers", 0, 0), [("normalize", (0.0, 1e-30))], 0)
    dense = np.empty((2, 1), np.float32)
    encoder.run([np.array([[1e30], [-1e30]], np.float32)], [], [], NO_IDS[:, :0], dense)
    assert dense[:, 0].tolist() == [math.inf, -math.inf]


def test_columns_without_a_job_are_unchanged() -> None:
    encoder = native.Encoder()
    encoder.add_hash(("integers", 0, 0), [], 4, 0, 0, 1)
    ids = np.full((2, 3), -7)
    encoder.run([], [np.zeros((2, 1), np.int64)], [], ids, np.empty((2, 0), np.float32))
    assert ids[:, 0].tolist() == ids[:, 2].tolist() == [-7, -7]


@pytest.mark.parametrize(
    ("integers", "ids", "problem"),
    [
        ([], np.empty((2, 1), np.int64), r"integers: wanted 1 tensor\(s\), got 0"),
        ([np.zeros((2, 1), np.int64)], np.empty((2, 1), np.int64), "wanted column 1, got 1 column"),
        ([np.zeros((2, 2), np.int64)], np.empty((2, 0), np.int64), "fewer columns than the jobs"),
        ([np.zeros((2, 2), np.int64)], np.empty((3, 1), np.int64), "ids_out: wanted 2 rows, got 3"),
        ([np.zeros((2, 2), np.int32)], np.empty((2, 1), np.int64), "integers: wanted int64 of 2"),
        ([np.zeros((2, 2), np.int64)], np.empty((2, 1), np.float32), "ids_out: wanted int64 of 2"),
    ],
)
def test_wrong_tensors_are_refused(integers: list, ids: np.ndarray, problem: str) -> None:
    encoder = native.Encoder()
    encoder.add_hash(("integers", 0, 1), [], 4, 0, 0, 0)
    with pytest.raises((TypeError, ValueError), match=problem):
        encoder.run([], integers, [], ids, np.empty((2, 0), np.float32))


def test_pack_objects() -> None:
    table = np.array([[b"ab", b""], [b"c", b"xyz"]], object)
    offsets, data = native.pack_objects(table[::-1, 0])
    assert Text(offsets, data).to_objects().tolist() == [b"c", b"ab"]
    with pytest.raises(TypeError, match="row 1: wanted bytes, got str"):
        native.pack_objects(np.array([b"a", "b"], object))
