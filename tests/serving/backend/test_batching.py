"""Requests of one call are answered in one pass, and a bad one does not affect the others."""

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plumbline.base.errors import PlumblineError
from plumbline.columns.wire import Tensors
from plumbline.dlrm.errors import ModelError

LIMIT = 100
Run = Callable[[Tensors], Tensors]
Answer = Callable[[Sequence[Tensors], Run], list[Tensors | PlumblineError]]

once = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
"""The fixture holds no state."""


@pytest.fixture
def answer(log: list[str]) -> Answer:
    """The answers of a backend model that computes a function."""
    module: Any = importlib.import_module("plumbline.serving.backend.model")

    class Model(module.BackendModel):
        def load(self, version: Any) -> Any:
            raise NotImplementedError

    def answers(requests: Sequence[Tensors], run: Run) -> list[Tensors | PlumblineError]:
        return Model()._answers(requests, run)

    return answers


class CountingModel:
    """Doubles ids below LIMIT; counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, tensors: Tensors) -> Tensors:
        self.calls += 1
        ids_BF = tensors["ids"]
        if (ids_BF >= LIMIT).any():
            raise ModelError.id_out_of_range("c", int(ids_BF.max()), LIMIT)
        return {"doubled": ids_BF * 2, "sum": ids_BF.sum(axis=1, keepdims=True)}


def request(first: int, rows: int, width: int = 2) -> Tensors:
    return {"ids": np.arange(first, first + rows * width).reshape(rows, width)}


@once
@given(sizes=st.lists(st.tuples(st.integers(0, 50), st.integers(1, 5)), min_size=1, max_size=6))
def test_each_request_gets_its_own_rows_from_one_pass(
    answer: Answer, sizes: list[tuple[int, int]]
) -> None:
    requests = [request(first, rows) for first, rows in sizes]
    model = CountingModel()
    answers = answer(requests, model)
    assert model.calls == 1
    assert len(answers) == len(requests)
    for sent, given_back in zip(requests, answers, strict=True):
        assert not isinstance(given_back, PlumblineError)
        np.testing.assert_array_equal(given_back["doubled"], sent["ids"] * 2)
        np.testing.assert_array_equal(given_back["sum"][:, 0], sent["ids"].sum(axis=1))


@once
@given(are_bad=st.lists(st.booleans(), min_size=1, max_size=6))
def test_only_the_bad_requests_get_an_error(answer: Answer, are_bad: list[bool]) -> None:
    requests = [request(LIMIT if bad else 0, 3) for bad in are_bad]
    answers = answer(requests, CountingModel())
    for bad, given_back in zip(are_bad, answers, strict=True):
        if bad:
            assert "got 105" in str(given_back)
        else:
            assert not isinstance(given_back, PlumblineError)
            np.testing.assert_array_equal(given_back["doubled"], request(0, 3)["ids"] * 2)


def test_requests_of_different_shapes_are_answered_one_by_one(answer: Answer) -> None:
    model = CountingModel()
    first, second = answer([request(0, 2, width=2), request(0, 2, width=3)], model)
    assert model.calls == 2
    assert not isinstance(first, PlumblineError) and first["doubled"].shape == (2, 2)
    assert not isinstance(second, PlumblineError) and second["doubled"].shape == (2, 3)


def test_requests_with_lists_of_different_lengths_are_one_pass(answer: Answer) -> None:
    """A list is one element of bytes a row, so its length is not part of the tensor's shape."""

    calls = []

    def lengths(tensors: Tensors) -> Tensors:
        calls.append(len(tensors["list_ids"]))
        return {"length": np.array([[len(packed)] for packed in tensors["list_ids"][:, 0]])}

    requests: list[Tensors] = [
        {"list_ids": np.array([[bytes(size)] for size in sizes], np.object_)}
        for sizes in ((0, 8), (80,), (16, 0, 24))
    ]
    answers = answer(requests, lengths)
    assert calls == [6]
    assert [a["length"][:, 0].tolist() for a in answers if not isinstance(a, PlumblineError)] == [
        [0, 8],
        [80],
        [16, 0, 24],
    ]
