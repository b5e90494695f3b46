"""Requests of one call are answered in one pass, and an unanswerable one spoils no other."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from plumbline.base.errors import PlumblineError
from plumbline.columns.wire import Tensors
from plumbline.dlrm.errors import ModelError
from plumbline.serving.backend.batching import answer

LIMIT = 100


class CountingStep:
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


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 5)), min_size=1, max_size=6))
def test_each_request_gets_its_own_rows_from_one_pass(forms: list[tuple[int, int]]) -> None:
    requests = [request(first, rows) for first, rows in forms]
    step = CountingStep()
    answers = answer(requests, step)
    assert step.calls == 1
    assert len(answers) == len(requests)
    for asked, given_back in zip(requests, answers, strict=True):
        assert not isinstance(given_back, PlumblineError)
        np.testing.assert_array_equal(given_back["doubled"], asked["ids"] * 2)
        np.testing.assert_array_equal(given_back["sum"][:, 0], asked["ids"].sum(axis=1))


@given(st.lists(st.booleans(), min_size=1, max_size=6))
def test_only_the_bad_requests_get_an_error(are_bad: list[bool]) -> None:
    requests = [request(LIMIT if bad else 0, 3) for bad in are_bad]
    answers = answer(requests, CountingStep())
    for bad, given_back in zip(are_bad, answers, strict=True):
        if bad:
            assert "got 105" in str(given_back)
        else:
            assert not isinstance(given_back, PlumblineError)
            np.testing.assert_array_equal(given_back["doubled"], request(0, 3)["ids"] * 2)


def test_requests_of_different_shapes_are_answered_one_by_one() -> None:
    step = CountingStep()
    first, second = answer([request(0, 2, width=2), request(0, 2, width=3)], step)
    assert step.calls == 2
    assert not isinstance(first, PlumblineError) and first["doubled"].shape == (2, 2)
    assert not isinstance(second, PlumblineError) and second["doubled"].shape == (2, 3)


def test_requests_with_lists_of_different_lengths_are_one_pass() -> None:
    """A list is one element of bytes a row, so its length is no part of a request's form."""

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
