"""The results of each step, and its JSON."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from plumbline.columns.values import NULL_INT64, Lists, Text
from plumbline.features.lookup.tables import Tables
from plumbline.features.operators.bucketize import Bucketize
from plumbline.features.operators.categorify import Categorify
from plumbline.features.operators.clip import Clip
from plumbline.features.operators.fill_missing import FillMissing
from plumbline.features.operators.hash_bucket import HashBucket
from plumbline.features.operators.hashed_cross import HashedCross
from plumbline.features.operators.is_missing import IsMissing
from plumbline.features.operators.keyed_value import KeyedValue
from plumbline.features.operators.log import Log
from plumbline.features.operators.normalize import Normalize
from plumbline.features.operators.normalize_min_max import NormalizeMinMax
from plumbline.features.operators.quantile_transform import Interpolate
from plumbline.features.steps.step import NumberStep, Step, step_from_json, step_to_json
from tests.plans import categorify

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
BOUNDS = st.none() | NUMBERS
NUMBER_STEPS: st.SearchStrategy[NumberStep] = st.one_of(
    st.builds(FillMissing, NUMBERS),
    st.builds(Clip, BOUNDS, BOUNDS),
    st.just(Log()),
    st.builds(Normalize, NUMBERS, st.floats(0, 1e9)),
    st.builds(NormalizeMinMax, NUMBERS, NUMBERS),
    st.dictionaries(st.floats(-1e9, 1e9), NUMBERS, min_size=1, max_size=5).map(
        lambda line: Interpolate(tuple(sorted(line)), tuple(line.values()))
    ),
)
POSITIVE = st.integers(1, 10**6)
OTHER_STEPS: st.SearchStrategy[Step] = st.one_of(
    st.builds(
        Categorify, st.integers(0), st.none() | POSITIVE, POSITIVE, POSITIVE, *[st.text()] * 3
    ),
    st.builds(Bucketize, st.lists(NUMBERS, max_size=3).map(lambda values: tuple(sorted(values)))),
    st.builds(HashBucket, POSITIVE),
    st.builds(HashedCross, POSITIVE),
    st.just(IsMissing()),
    st.builds(KeyedValue, st.text(), st.text(), st.text(), BOUNDS, BOUNDS),
)
INTEGERS = np.array([5, NULL_INT64, -5, 2**63 - 1, 7])
WORDS = Text.from_objects(["é".encode(), b"", b"b", b"c", b"b"])


@given(NUMBER_STEPS | OTHER_STEPS)
def test_json_round_trip(step: Step) -> None:
    assert step_from_json(json.loads(json.dumps(step_to_json(step)))) == step


@given(NUMBER_STEPS, arrays(np.float64, 5))
def test_a_step_does_not_change_its_input(step: NumberStep, values_B: np.ndarray) -> None:
    before_B = values_B.copy()
    with np.errstate(all="ignore"):
        result_B = step.apply(values_B)
    np.testing.assert_array_equal(values_B, before_B)
    assert result_B.shape == (5,)
    assert result_B.dtype == np.float64


def test_only_fill_missing_fills_missing_numbers() -> None:
    missing = np.array([math.nan])
    for step in (Clip(0.0, 1.0), Log(), Normalize(1.0, 2.0), NormalizeMinMax(1.0, 1.0)):
        assert np.isnan(step.apply(missing)).all()
    assert FillMissing(7.0).apply(missing).tolist() == [7.0]


def test_numbers() -> None:
    values = np.array([-math.inf, -2.0, -1.0, 0.0, 3.0, math.inf])
    assert Clip(-1.0, 2.0).apply(values).tolist() == [-1.0, -1.0, -1.0, 0.0, 2.0, 2.0]
    assert Clip(None, 0.0).apply(values).tolist()[:2] == [-math.inf, -2.0]
    assert Clip(2.0, -1.0).apply(values).tolist() == [-1.0] * 6
    assert Log().apply(values[2:]).tolist() == [-math.inf, 0.0, math.log(4.0), math.inf]
    assert np.isnan(Log().apply(values[:2])).all()
    assert Normalize(1.0, 4.0).apply(values[4:]).tolist() == [0.5, math.inf]
    assert Normalize(1.0, 0.0).apply(values[4:]).tolist() == [2.0, math.inf]
    assert NormalizeMinMax(-1.0, 3.0).apply(values[1:5]).tolist() == [-0.25, 0.0, 0.25, 1.0]
    assert NormalizeMinMax(3.0, 3.0).apply(values).tolist() == [0.5] * 6


def bound(step: Step, folder: Path) -> Any:
    return step.bind(Tables(folder))


def test_integers_as_numbers(tmp_path: Path) -> None:
    filled = bound(FillMissing(0.5), tmp_path)(INTEGERS)
    assert filled.tolist() == [5.0, 0.5, -5.0, 2.0**63, 7.0]


def test_is_missing(tmp_path: Path) -> None:
    is_missing = bound(IsMissing(), tmp_path)
    assert is_missing(INTEGERS).tolist() == [0, 1, 0, 0, 0]
    assert is_missing(WORDS).tolist() == [0, 1, 0, 0, 0]
    assert is_missing(np.array([1, math.nan], np.float32)).tolist() == [0, 1]


def test_ids_of_integers_and_text(tmp_path: Path) -> None:
    of_integers = bound(categorify(tmp_path, "i", [2**63 - 1, 5]), tmp_path)
    assert of_integers(INTEGERS).tolist() == [4, 1, 2, 3, 2]
    of_words = bound(categorify(tmp_path, "w", ["b", "é"]), tmp_path)
    assert of_words(WORDS).tolist() == [4, 1, 3, 2, 3]
    of_nothing = bound(categorify(tmp_path, "n", pa.array([], pa.int64())), tmp_path)
    assert of_nothing(INTEGERS).tolist() == [2, 1, 2, 2, 2]
    assert of_nothing(INTEGERS[:0]).tolist() == []


def test_ids_of_lists(tmp_path: Path) -> None:
    of_words = bound(categorify(tmp_path, "w", ["b", "é"]), tmp_path)
    ids = of_words(Lists(WORDS, np.array([0, 0, 3, 5])))
    assert ids.values.tolist() == [4, 1, 3, 2, 3]
    assert ids.offsets.tolist() == [0, 0, 3, 5]
    hashed = bound(HashBucket(9), tmp_path)(Lists(WORDS, np.array([0, 5])))
    assert hashed.values.tolist() == HashBucket(9).apply(WORDS).tolist()


def test_unknown_values_are_distributed_by_hash(tmp_path: Path) -> None:
    ids_B = bound(categorify(tmp_path, "i", [7], num_buckets=4), tmp_path)(INTEGERS)
    assert ids_B.tolist()[1] == 1
    assert ids_B.tolist()[4] == 6
    unknown = np.array([0, 2, 3])
    assert (ids_B[unknown] == 2 + HashBucket(4).apply(INTEGERS)[unknown]).all()


def test_ids_of_combinations(tmp_path: Path) -> None:
    parts = [pa.array([5, None, -5], pa.int64()), pa.array(["é", "b", "b"])]
    step = Categorify.written(
        tmp_path, "both", parts, np.array([3, 2, 1]),
        frequency_threshold=0, limit=None, num_buckets=1, sources=["i", "w"],
    )  # fmt: skip
    words = Text.from_objects([w for w in (b"\xc3\xa9", b"b", b"b", b"", b"")])
    integers = np.array([5, NULL_INT64, -5, NULL_INT64, 5])
    assert bound(step, tmp_path)(integers, words).tolist() == [3, 4, 5, 1, 2]


def test_hash_buckets_and_hashed_crosses() -> None:
    for values in (INTEGERS, WORDS, INTEGERS.astype(np.float64)):
        ids_B = HashBucket(2**31).apply(values)
        assert len(set(ids_B.tolist())) == len({*np.asarray(ids_B)}) >= 4
    numbers = np.array([0.0, -0.0, math.nan, -math.nan])
    zero, also_zero, missing, also_missing = HashBucket(2**31).apply(numbers).tolist()
    assert (zero, missing) == (also_zero, also_missing)
    one_way, other = HashedCross(97).apply(INTEGERS, WORDS), HashedCross(97).apply(WORDS, INTEGERS)
    assert one_way.tolist() == other.tolist()
    assert ((one_way >= 0) & (one_way < 97)).all()


def test_keyed_values(tmp_path: Path) -> None:
    keys = [pa.array(["b", "é"])]
    values = np.array([0.25, math.nan])
    step = KeyedValue.written(tmp_path, "v", keys, ["w"], values, default=0.5, null=9.0)
    values_B = bound(step, tmp_path)(WORDS)
    np.testing.assert_array_equal(values_B, [math.nan, 9.0, 0.25, 0.5, 0.25])
    step = KeyedValue.written(tmp_path, "v", keys, ["w"], values, default=None, null=None)
    assert np.isnan(bound(step, tmp_path)(WORDS)[[0, 1, 3]]).all()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"op": "hash"}, "unknown step 'hash', known: .*clip, .*log, "),
        ({}, "unknown step None"),
        ({"op": "log", "base": 2}, r"step 'log': wanted \[\], got \['base'\]"),
        ({"op": "clip", "minimum": 1}, r"step 'clip': wanted \['maximum', 'minimum'\], got"),
    ],
)
def test_unknown_steps_and_fields_are_refused(content: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        step_from_json(content)


def test_a_name_in_plan_json_is_one_steps() -> None:
    with pytest.raises(TypeError, match=r"step 'clip' is one of plumbline.features.operators.clip"):

        class Other(NumberStep):
            op = "clip"

    assert step_from_json({"op": "clip", "minimum": 0.0, "maximum": None}) == Clip(0.0, None)
