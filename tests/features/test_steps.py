"""The meaning of each step, and its JSON form."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from features.steps import (
    Categorify,
    Clip,
    FillMissing,
    FloatStep,
    Log,
    Normalize,
    Step,
    step_from_json,
    step_to_json,
)

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
BOUNDS = st.none() | NUMBERS
FLOAT_STEPS: st.SearchStrategy[FloatStep] = st.one_of(
    st.builds(FillMissing, NUMBERS),
    st.builds(Clip, BOUNDS, BOUNDS),
    st.just(Log()),
    st.builds(Normalize, NUMBERS, st.floats(0, 1e9)),
)
CATEGORIFY = st.builds(Categorify, st.integers(0), st.integers(3), st.text(), st.text())


@given(FLOAT_STEPS | CATEGORIFY)
def test_json_and_back(step: Step) -> None:
    assert step_from_json(json.loads(json.dumps(step_to_json(step)))) == step


@given(FLOAT_STEPS, arrays(np.float64, 5))
def test_a_step_leaves_its_input_alone(step: FloatStep, values_B: np.ndarray) -> None:
    before_B = values_B.copy()
    with np.errstate(all="ignore"):
        result_B = step.apply(values_B)
    np.testing.assert_array_equal(values_B, before_B)
    assert result_B.shape == (5,)
    assert result_B.dtype == np.float64


def test_missing_stays_missing_but_for_fill_missing() -> None:
    missing = np.array([math.nan])
    for step in (Clip(0.0, 1.0), Log(), Normalize(1.0, 2.0)):
        assert np.isnan(step.apply(missing)).all()
    assert FillMissing(7.0).apply(missing).tolist() == [7.0]


def test_values() -> None:
    values = np.array([-math.inf, -2.0, -1.0, 0.0, 3.0, math.inf])
    assert Clip(-1.0, 2.0).apply(values).tolist() == [-1.0, -1.0, -1.0, 0.0, 2.0, 2.0]
    assert Clip(None, 0.0).apply(values).tolist()[:2] == [-math.inf, -2.0]
    assert Log().apply(values[2:]).tolist() == [-math.inf, 0.0, math.log(4.0), math.inf]
    assert np.isnan(Log().apply(values[:2])).all()
    assert Normalize(1.0, 4.0).apply(values[4:]).tolist() == [0.5, math.inf]
    assert Normalize(1.0, 0.0).apply(values[4:]).tolist() == [2.0, math.inf]


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"op": "hash"}, "unknown step 'hash', known: categorify, clip, fill_missing, log, normal"),
        ({}, "unknown step None"),
        ({"op": "log", "base": 2}, r"step 'log' wants \[\], got \['base'\]"),
        ({"op": "clip", "minimum": 1}, r"step 'clip' wants \['maximum', 'minimum'\], got"),
    ],
)
def test_an_unknown_form_is_refused(form: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        step_from_json(form)
