"""The native and NumPy online executors on small plans; for NVTabular see tests/contract."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from plumbline.base.errors import PlanError
from plumbline.columns.values import NULL_INT64, Text
from plumbline.columns.wire import Tensors
from plumbline.features.encoding.online import OnlineExecutor
from plumbline.features.operators.arithmetic import Arithmetic
from plumbline.features.operators.bucketize import Bucketize
from plumbline.features.operators.cast import ToInteger
from plumbline.features.operators.categorify import Categorify
from plumbline.features.operators.clip import Clip
from plumbline.features.operators.fill_missing import FillMissing
from plumbline.features.operators.hash_bucket import HashBucket
from plumbline.features.operators.hashed_cross import HashedCross
from plumbline.features.operators.log import Log
from plumbline.features.operators.normalize import Normalize
from plumbline.features.operators.text import Lowercase
from plumbline.features.plan.plan import InputColumn, output_column, write_plan
from plumbline.features.steps.chains import Chain
from tests.plans import categorify, plan_of


@pytest.fixture
def executor(tmp_path: Path, implementation: str) -> OnlineExecutor:
    plan = plan_of(
        tmp_path,
        {"s": "string", "x": "continuous", "h": "hex", "i": "integer"},
        i=("i", categorify(tmp_path, "i", [2**63 - 1, -(2**63) + 1, 0])),
        x_log=("x", FillMissing(0.0), Clip(0.0, None), Log(), Normalize(1.0, 2.0)),
        h=("h", categorify(tmp_path, "h", pa.array([], pa.int64()))),
        s=("s", categorify(tmp_path, "s", ["é", "b"])),
        x=("x",),
    )
    return OnlineExecutor(plan)


def tensors(**changes: np.ndarray) -> Tensors:
    whole: Tensors = {
        "continuous": np.array([[np.nan], [np.e - 1]], np.float32),
        "categorical_int64": np.array([[7, 2**63 - 1], [NULL_INT64, NULL_INT64]], np.int64),
        "categorical_bytes": np.array([["é".encode()], [b"c"]], np.object_),
    }
    return {**whole, **changes}


def test_ids_and_floats_in_plan_order(executor: OnlineExecutor) -> None:
    encoded = executor.transform(tensors())
    assert encoded.ids_BF.dtype == np.int64
    assert encoded.ids_BF.tolist() == [[3, 2, 3], [1, 1, 2]]
    assert encoded.dense_BC.dtype == np.float32
    np.testing.assert_allclose(encoded.dense_BC[:, 0], [-0.5, 0.0], atol=1e-7)
    np.testing.assert_array_equal(encoded.dense_BC[:, 1], tensors()["continuous"][:, 0])


def test_integer_edges_unseen_values_and_empty_strings(executor: OnlineExecutor) -> None:
    values = [-(2**63) + 1, 0, 2**63 - 2, 1]
    encoded = executor.transform(
        tensors(
            continuous=np.zeros((4, 1), np.float32),
            categorical_int64=np.array([[0, value] for value in values], np.int64),
            categorical_bytes=np.array([[b""], [b"b"], [b"\xff"], [b"B"]], np.object_),
        )
    )
    assert encoded.ids_BF[:, 0].tolist() == [4, 5, 2, 2]
    assert encoded.ids_BF[:, 2].tolist() == [1, 4, 2, 2]


def test_no_rows(executor: OnlineExecutor) -> None:
    none = {name: tensor[:0] for name, tensor in tensors().items()}
    encoded = executor.transform(none)
    assert encoded.ids_BF.shape == (0, 3)
    assert encoded.dense_BC.shape == (0, 2)


@pytest.mark.usefixtures("implementation")
def test_numbers_beyond_float32_are_infinite(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, {"x": "continuous"}, x=("x", Normalize(0.0, 1e-9)))
    with np.errstate(all="raise"):
        encoded = OnlineExecutor(plan).transform({"continuous": np.array([[1e38]], np.float32)})
    assert encoded.dense_BC.tolist() == [[np.inf]]
    assert encoded.ids_BF.shape == (1, 0)


@pytest.mark.usefixtures("implementation")
def test_computed_ids(tmp_path: Path) -> None:
    plan = plan_of(
        tmp_path,
        {"x": "continuous", "i": "integer", "l": "string_list"},
        x_bucket=("x", FillMissing(9.0), Bucketize((0.0, 5.0))),
        x_raw=("x", Bucketize((0.0, 5.0))),
        i=("i", HashBucket(10)),
        l=("l", categorify(tmp_path, "l", ["b"])),
    )
    encoded = OnlineExecutor(plan).transform(
        {
            "continuous": np.array([[-1.0], [0.0], [np.nan]], np.float32),
            "categorical_int64": np.array([[1], [2], [NULL_INT64]]),
            "list_bytes": np.array(
                [[b"\1\0\0\0b\0\0\0\0"], [b""], [b"\2\0\0\0bc"]], dtype=np.object_
            ),
        }
    )
    assert encoded.ids_BF[:, :2].T.tolist() == [[0, 1, 2], [0, 1, 2]]
    assert encoded.ids_BF[2, 2] == (2**64 - 1) % 10
    (bag,) = encoded.bags
    assert (bag.values.tolist(), bag.offsets.tolist()) == ([3, 1, 2], [0, 2, 2, 3])


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        (
            "continuous",
            np.zeros((2, 2), np.float32),
            r"'continuous': .* \(rows, 1\), got shape \(2",
        ),
        ("continuous", np.zeros((2, 1)), "'continuous': the feature plan wants float32, got float"),
        ("continuous", np.float32(0), r"'continuous': .* wants shape \(rows, 1\), got shape \(\)"),
        ("categorical_int64", np.zeros((2, 2), np.int32), "wants int64, got int32"),
        ("categorical_bytes", np.zeros((2, 1), "S3"), "wants object, got"),
        ("categorical_bytes", np.array([[b""], ["a"]], np.object_), "wants bytes, got .*str"),
        ("continuous", np.zeros((3, 1), np.float32), r"need the same number of rows, got \[2, 3\]"),
    ],
)
def test_wrong_tensors_are_refused(
    executor: OnlineExecutor, name: str, tensor: np.ndarray, message: str
) -> None:
    with pytest.raises(PlanError, match=message):
        executor.transform(tensors(**{name: tensor}))


def test_missing_and_unexpected_tensors_are_named(executor: OnlineExecutor) -> None:
    lacking = tensors()
    del lacking["continuous"]
    with pytest.raises(PlanError, match="missing continuous; unexpected images"):
        executor.transform({**lacking, "images": np.zeros((2, 1))})


@pytest.mark.usefixtures("implementation")
def test_native_steps_take_what_numpy_computes(tmp_path: Path) -> None:
    """Steps without a native form, before others and beside them, over one column and several."""
    lower = Chain(("s",), (Lowercase(),))
    whole = Chain(("x",), (FillMissing(2.5), ToInteger("floor")))
    inputs = tuple(InputColumn(n, k) for n, k in (("s", "string"), ("x", "continuous")))
    parts = [pa.array(["b", "é"]), pa.array([2, None])]
    both = Categorify.written(
        tmp_path, "both", parts, np.ones(2, np.int64),
        frequency_threshold=0, limit=None, num_buckets=1, sources=["s", "x"],
    )  # fmt: skip
    chains = {
        "s_id": Chain((lower,), (categorify(tmp_path, "s", ["é", "b"]),)),
        "both": Chain((lower, whole), (both,)),
        "cross": Chain((lower, whole, "s"), (HashedCross(1000),)),
        "whole": Chain((whole,), (Normalize(0.0, 2.0),)),
        "product": Chain(("x", whole), (Arithmetic("multiply", None, None), FillMissing(-1.0))),
        "plain": Chain(("x",), (FillMissing(0.0),)),
    }
    columns = tuple(output_column(name, chain, inputs) for name, chain in chains.items())
    executor = OnlineExecutor(write_plan(tmp_path, inputs, columns))
    encoded = executor.transform(
        {
            "continuous": np.array([[1.5], [np.nan], [2.0]], np.float32),
            "categorical_bytes": np.array([["É".encode()], [b"B"], [b""]], np.object_),
        }
    )
    assert encoded.ids_BF[:, :2].T.tolist() == [[3, 4, 1], [2, 3, 2]]
    assert encoded.dense_BC.T.tolist() == [[0.5, 1.0, 1.0], [1.5, -1.0, 4.0], [1.5, 0.0, 2.0]]
    text = Text.from_objects(["é".encode(), b"b", b""])
    raw = Text.from_objects(["É".encode(), b"B", b""])
    wanted = HashedCross(1000).apply(text, np.array([1, 2, 2]), raw)
    assert encoded.ids_BF[:, 2].tolist() == wanted.tolist()
