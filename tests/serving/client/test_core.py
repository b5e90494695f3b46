"""A client reads a config, makes requests from rows, and joins the answers."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline.serving.client.core import ServedModel
from plumbline.serving.client.transport import ModelConfig
from plumbline.serving.errors import ServerError

KINDS = {"s": "string", "x": "continuous", "h": "hex"}
VERSIONS = {
    number: {"plan_hash": f"plan {number}", "model_hash": model, "manifest_sha256": "m"}
    for number, model in (("1", "model 1"), ("2", None))
}


def served(version: str = "", max_batch_size: int = 4, **parameters: str) -> ServedModel:
    known = {"kinds": json.dumps(KINDS), "plan_hash": "plan 2", "model_hash": "model 2"}
    return ServedModel(ModelConfig("ctr_fused", max_batch_size, known | parameters), version)


class Answer:
    def __init__(self, probability_B: Any) -> None:
        self.probability_B = probability_B

    def as_numpy(self, name: str) -> Any:
        assert name == "click_probability"
        return self.probability_B[:, np.newaxis]


@given(rows=st.integers(0, 40), most=st.integers(1, 12))
def test_requests_have_every_row_once_in_order(rows: int, most: int) -> None:
    model = served(max_batch_size=most)
    tensors = {
        "continuous": np.arange(rows, dtype=np.float32)[:, np.newaxis],
        "categorical_int64": np.arange(2 * rows).reshape(rows, 2),
    }
    requests = list(model.requests(tensors))
    assert all(1 <= len(request["continuous"]) <= most for request in requests)
    assert len(requests) == -(-rows // most)
    answers = [Answer(request["continuous"][:, 0]) for request in requests]
    np.testing.assert_array_equal(model.probabilities(answers), tensors["continuous"][:, 0])
    assert model.probabilities(answers).dtype == np.float32
    for request in requests:
        first = request["categorical_int64"][:, 0] // 2
        np.testing.assert_array_equal(first, request["continuous"][:, 0])


def test_columns_keep_the_order_of_the_plan() -> None:
    assert tuple(served().kinds) == ("s", "x", "h")
    assert served().columns.names == ("x", "h", "s")


def test_hashes_are_those_of_the_requested_version() -> None:
    newest = served(versions=json.dumps(VERSIONS))
    assert (newest.plan_hash, newest.model_hash) == ("plan 2", "model 2")
    first = served("1", versions=json.dumps(VERSIONS))
    assert (first.plan_hash, first.model_hash) == ("plan 1", "model 1")
    assert served("1").plan_hash == "plan 2", "a config that lists one version only"


@pytest.mark.parametrize(
    ("versions", "message"),
    [(json.dumps(VERSIONS), r"wanted version 3, but its config lists 1, 2"), ("[", "'versions'")],
)
def test_a_version_that_the_config_does_not_list(versions: str, message: str) -> None:
    with pytest.raises(ServerError, match=message):
        served("3", versions=versions)
