"""The native and the NumPy hashes equal those of pandas."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from plumbline.columns.pandas_hash import hash_integers, hash_numbers, hash_text
from plumbline.columns.values import Text

relaxed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
pytestmark = pytest.mark.usefixtures("implementation")


def text_of(strings: list[str]) -> Text:
    return Text.from_objects([string.encode() for string in strings])


@relaxed
@given(arrays(np.int64, st.integers(0, 40)))
def test_integers(values: np.ndarray) -> None:
    assert hash_integers(values).tolist() == pd.util.hash_array(values).tolist()


@relaxed
@given(arrays(np.float64, st.integers(0, 40)))
def test_numbers(values: np.ndarray) -> None:
    assert hash_numbers(values).tolist() == pd.util.hash_array(values.copy()).tolist()


@relaxed
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), max_size=30))
def test_text(strings: list[str]) -> None:
    expected = pd.util.hash_array(np.array([*strings, "x"], object), categorize=False)
    assert hash_text(text_of([*strings, "x"])).tolist() == expected.tolist()


def test_every_length() -> None:
    strings = ["x" * length for length in range(70)]
    expected = pd.util.hash_array(np.array(strings, object))
    assert hash_text(text_of(strings)).tolist() == expected.tolist()


def test_slices_of_arrays_and_text() -> None:
    values = np.arange(20)[::-3]
    assert hash_integers(values).tolist() == hash_integers(values.copy()).tolist()
    whole = text_of(["ab", "c", "", "defghijklm"])
    part = Text(whole.offsets[1:], whole.data)
    assert hash_text(part).tolist() == hash_text(whole).tolist()[1:]


def test_no_values() -> None:
    assert len(hash_integers(np.empty(0, np.int64))) == 0
    assert len(hash_text(text_of([]))) == 0
