"""The comparison finds every kind of difference; the latency covers the documented requests."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from plumbline.columns.values import Lists
from plumbline.columns.wire import Tensors
from plumbline.features.encoding.encoder import Encoded
from plumbline.serving.check.comparison import compare
from plumbline.serving.check.latency import WARMUP_REQUESTS, measure_latency
from plumbline.serving.errors import ServerError

RAW = pa.table({"x": [1.0, 2.0]})
IDS_BF = np.array([[3], [4]])
DENSE_BC = np.array([[0.5], [np.nan]], np.float32)
PROBABILITY_B = np.array([0.25, 0.75], np.float32)


BAGS = (Lists(np.array([5, 6, 7]), np.array([0, 0, 3])),)


class Answers:
    """A stand-in for a client, with fixed answers and a record of the batches."""

    def __init__(
        self,
        ids_BF: Any = IDS_BF,
        dense_BC: Any = DENSE_BC,
        probability_B: Any = PROBABILITY_B,
        bags: tuple[Lists, ...] = BAGS,
    ) -> None:
        self.encoded = Encoded(ids_BF, bags, dense_BC)
        self.probability_B = probability_B
        self.batches: list[list[float]] = []

    def encode(self, data: Any) -> Encoded:
        return self.encoded

    def score(self, data: Any) -> Any:
        return self.probability_B[: len(data)]

    def predict(self, tensors: Tensors) -> None:
        self.batches.append(tensors["continuous"][:, 0].tolist())


def compared(ensemble: Answers, fused: Answers) -> Any:
    return compare(ensemble, fused, RAW, Encoded(IDS_BF, BAGS, DENSE_BC), PROBABILITY_B)


def test_equal_answers_have_no_difference() -> None:
    found = compared(Answers(), Answers())
    assert (found.rows_compared, found.ids_identical) == (2, True)
    assert (found.max_abs_dense_diff, found.max_abs_score_diff) == (0.0, 0.0)


@pytest.mark.parametrize("which", ["ensemble", "fused"])
def test_the_larger_score_difference_of_both_models_counts(which: str) -> None:
    off = Answers(IDS_BF, DENSE_BC, PROBABILITY_B + np.float32(0.125))
    clients = (off, Answers()) if which == "ensemble" else (Answers(), off)
    assert compared(*clients).max_abs_score_diff == 0.125


def test_other_ids_and_dense_values_are_found() -> None:
    off = Answers(IDS_BF + 1, DENSE_BC + 2, PROBABILITY_B)
    found = compared(Answers(), off)
    assert not found.ids_identical
    assert found.max_abs_dense_diff == 2.0


@pytest.mark.parametrize(
    "bags",
    [
        (),
        (Lists(np.array([5, 6, 8]), np.array([0, 0, 3])),),
        (Lists(np.array([5, 6, 7]), np.array([0, 1, 3])),),
    ],
)
def test_other_lists_of_ids_are_found(bags: tuple[Lists, ...]) -> None:
    assert not compared(Answers(), Answers(bags=bags)).ids_identical


def test_probabilities_that_are_not_numbers_are_refused() -> None:
    broken = Answers(IDS_BF, DENSE_BC, np.array([np.nan, 0.5], np.float32))
    with pytest.raises(ServerError, match="returned 1 probabilities that are not numbers"):
        compared(broken, Answers())


def test_another_number_of_answers_is_refused() -> None:
    short = Answers(IDS_BF, DENSE_BC, PROBABILITY_B[:1])
    with pytest.raises(ServerError, match=r"wanted shape \(2,\), as offline, got \(1,\)"):
        compared(short, Answers())


def test_latency_sends_batches_of_each_size_after_a_warm_up() -> None:
    client = Answers()
    tensors: Tensors = {"continuous": np.arange(5, dtype=np.float32)[:, np.newaxis]}
    found = measure_latency(client, tensors, requests=3, batch_sizes=(2, 7))
    assert list(found) == ["2", "7"]
    assert all(times["p50"] <= times["p99"] for times in found.values())
    assert len(client.batches) == 2 * (WARMUP_REQUESTS + 3)
    assert client.batches[:3] == [[0.0, 1.0], [2.0, 3.0], [4.0, 0.0]]
    assert client.batches[-1] != client.batches[-2]
    assert len(client.batches[-1]) == 7
