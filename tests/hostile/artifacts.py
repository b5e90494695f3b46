"""A plan of all kinds of steps, its models in float and int8, and a repository of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from safetensors.numpy import save_file

from plumbline.base.files import file_sha256
from plumbline.columns.wire import CONTINUOUS, to_tensors
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.model.model_card import WEIGHTS_FILE, write_model_card
from plumbline.dlrm.model.weight_shapes import weight_shapes
from plumbline.dlrm.score.quantization import quantized_weights
from plumbline.features.drift.reference import REFERENCE_FILE, Reference
from plumbline.features.encoding.online import OnlineExecutor
from plumbline.features.operators.arithmetic import Arithmetic
from plumbline.features.operators.bucketize import Bucketize
from plumbline.features.operators.cast import ToInteger, ToText
from plumbline.features.operators.categorify import Categorify
from plumbline.features.operators.clip import Clip
from plumbline.features.operators.column_similarity import FeatureMatrix, FitSimilarity
from plumbline.features.operators.compare import Compare, IsIn
from plumbline.features.operators.date_part import DatePart
from plumbline.features.operators.fill_key import FillKey
from plumbline.features.operators.fill_missing import FillMissing
from plumbline.features.operators.hash_bucket import HashBucket
from plumbline.features.operators.hashed_cross import HashedCross
from plumbline.features.operators.is_missing import IsMissing
from plumbline.features.operators.keyed_key import KeyedKey
from plumbline.features.operators.keyed_value import KeyedValue
from plumbline.features.operators.list_length import ListLength
from plumbline.features.operators.list_slice import ListSlice
from plumbline.features.operators.log import Log
from plumbline.features.operators.normalize import Normalize
from plumbline.features.operators.normalize_min_max import NormalizeMinMax
from plumbline.features.operators.periodic import Sine
from plumbline.features.operators.quantile_transform import Interpolate
from plumbline.features.operators.range_ids import RangeIds
from plumbline.features.operators.seconds import Seconds
from plumbline.features.operators.single_table import SingleTableCategorify
from plumbline.features.operators.text import Lowercase, SplitPart, Substring
from plumbline.features.plan.plan import InputColumn, Plan, output_column, write_plan
from plumbline.features.steps.chains import Chain
from plumbline.features.steps.fit_step import NoRows, Target
from plumbline.features.steps.value_types import ValueType
from plumbline.serving.contract.interface import wire_columns
from plumbline.serving.repository.export import write_repository
from plumbline.serving.repository.release import Release
from plumbline.settings import Serving
from tests.plans import categorify

KINDS = {
    "price": "continuous",
    "user": "integer",
    "item": "integer",
    "city": "string",
    "at": "time",
    "genres": "string_list",
    "seen": "integer_list",
}
USERS, CITIES = list(range(40, 60)), ["Oslo", "Rome", "Bergen", "København"]
ROWS = pa.table(
    {
        "price": pa.array([1.0, None, 3.5], pa.float32()),
        "user": pa.array([41, None, 7]),
        "item": pa.array([1, 2, None]),
        "city": ["Rome", None, "Atlantis"],
        "at": pa.array([0, None, 10**15], pa.timestamp("us", "UTC")),
        "genres": [["Oslo", "x"], [], None],
        "seen": [[41], [1, 2, 3], None],
    }
)
SERVING = Serving(max_batch_size=64, precision="fp32")


def write_model(folder: Path, plan: Plan) -> Path:
    """A model of the plan, with drawn weights; torch is not needed."""
    architecture = Architecture(
        categorical=tuple(column.name for column in plan.categorical),
        cardinalities=plan.cardinalities,
        continuous=tuple(column.name for column in plan.continuous),
        embedding_dim=4,
        bottom_mlp=(8, 4),
        top_mlp=(8,),
        bags=tuple(column.name for column in plan.categorical if column.is_list),
    )
    random = np.random.default_rng(1)
    weights = {
        name: random.normal(0, 0.1, shape).astype(dtype)
        for name, (shape, dtype) in weight_shapes(architecture).items()
    }
    folder.mkdir(parents=True)
    save_file(weights, folder / WEIGHTS_FILE)
    sha256 = file_sha256(folder / WEIGHTS_FILE)
    card = write_model_card(folder, architecture, plan.content_hash, sha256)
    int8 = folder.with_name("int8")
    int8.mkdir()
    save_file(quantized_weights(architecture, weights), int8 / WEIGHTS_FILE)
    sha256 = file_sha256(int8 / WEIGHTS_FILE)
    write_model_card(int8, architecture, plan.content_hash, sha256, card.model_hash)
    return folder


def write_artifacts(folder: Path) -> Path:
    """Write `plan/`, `model/`, `int8/` and `repository/` into a folder."""
    plan = write_hostile_plan(folder / "plan")
    write_model(folder / "model", plan)
    tensors = to_tensors(ROWS, wire_columns(plan))
    encoded = OnlineExecutor(plan).transform(tensors)
    reference = Reference.of(plan, lambda position: tensors[CONTINUOUS][:, position], encoded)
    reference.write(folder / REFERENCE_FILE)
    release = Release.of(plan, folder / "model", ROWS, SERVING, drift=folder / REFERENCE_FILE)
    write_repository(release, folder / "repository", SERVING)
    return folder


def write_hostile_plan(folder: Path) -> Plan:
    """A plan with a step of every kind that can be in a plan."""
    inputs = tuple(InputColumn(name, kind) for name, kind in KINDS.items())  # type: ignore[arg-type]
    chains = _ids(folder) | _numbers(folder)
    outputs = tuple(output_column(name, chain, inputs) for name, chain in chains.items())
    filter_ = Chain(("user",), (Compare(">", 3),))
    return write_plan(folder, inputs, outputs, (filter_,))


def _ids(folder: Path) -> dict[str, Chain]:
    users, cities = pa.array(USERS), pa.array(CITIES)
    cross = _categorify(folder, "cross", [pa.array([41, None]), pa.array(["Rome", "Oslo"])])
    table = SingleTableCategorify.of(categorify(folder, "table", cities), 5, 5 + 3 + 4)
    keyed = KeyedKey(*KeyedKey.write(folder, "home", [users], ["user"], _texts()), "text", "Rome")
    filled = Chain((Chain((Chain(("user",), (keyed,)),), (FillKey("Oslo"),)),), ())
    number = KeyedKey.write(folder, "shop", [cities], ["city"], pa.array([1, 2, None, 4]))
    shop = Chain(("city",), (Lowercase(), FillKey("rome"), KeyedKey(*number, "integer", None)))
    return {
        "user": Chain(("user",), (categorify(folder, "user", users, 3),)),
        "city": Chain(("city",), (categorify(folder, "city", cities),)),
        "cross": Chain(("user", "city"), (cross,)),
        "table": Chain(("city",), (table,)),
        "home": Chain((filled,), (HashBucket(7),)),
        "shop": Chain((shop,), (HashBucket(5),)),
        "hashed": Chain(("item", "city"), (HashedCross(11),)),
        "bucket": Chain(("price",), (Bucketize((0.0, 1.5, 9.0)),)),
        "hour": Chain((Chain(("at",), (DatePart("hour", 60),)),), (RangeIds(0, 23),)),
        "part": Chain(("city",), (SplitPart("e", 0), Substring(0, 2), HashBucket(3))),
        "digits": Chain(("price",), (ToInteger("floor"), ToText(), HashBucket(4))),
        "genres": Chain(("genres",), (categorify(folder, "genres", cities), _slice(2))),
        "seen": Chain(("seen",), (HashBucket(9), _slice(None))),
    }


def _numbers(folder: Path) -> dict[str, Chain]:
    numbers = np.linspace(0, 1, len(USERS))
    files = {"default": 0.5, "null": None}
    keyed = KeyedValue.written(folder, "te", [pa.array(USERS)], ["user"], numbers, **files)  # type: ignore[arg-type]
    row, column = np.array([0, 0, 2]), np.array([0, 3, 3])
    left, right = (
        FeatureMatrix(3, row, column, np.ones(3)),
        FeatureMatrix(3, row, column, numbers[:3]),
    )
    target = Target("similar", ("user", "item"), (ValueType("integer"),) * 2, folder)
    similar = FitSimilarity(left.sha256(), right.sha256(), left, right).fitted(NoRows(), target)
    price = Chain(("price",), (FillMissing(0.5),))
    return {
        "price": Chain(("price",), (FillMissing(0.0), Clip(None, 9.5), Log(), Normalize(0.1, 0.3))),
        "scaled": Chain(("price",), (NormalizeMinMax(0.0, 4.0), FillMissing(0.0))),
        "curve": Chain((price,), (Interpolate((0.0, 1.0, 2.0), (-1.0, 0.5, 1.0)), Sine(24.0))),
        "missing": Chain(("city",), (IsMissing(),)),
        "te": Chain(("user",), (keyed, FillMissing(0.0))),
        "similar": Chain(("user", "item"), (similar, FillMissing(0.0))),
        "ratio": Chain((price, "item"), (Arithmetic("divide", None, 0.0), FillMissing(0.0))),
        "double": Chain((price,), (Arithmetic("multiply", 2.0, None),)),
        "age": Chain(("at",), (Seconds(0), FillMissing(0.0), Normalize(0.0, 1e15))),
        "large": Chain(("item",), (Compare(">", 1), FillMissing(0.0))),
        "in": Chain(("city",), (IsIn(("Oslo", "Rome")), FillMissing(0.0))),
        "length": Chain(("seen",), (ListLength(),)),
    }


def _texts() -> pa.Array:
    return pa.array([CITIES[user % len(CITIES)] for user in USERS])


def _categorify(folder: Path, name: str, parts: list[pa.Array]) -> Categorify:
    return Categorify.written(
        folder,
        name,
        parts,
        np.ones(len(parts[0]), np.int64),
        frequency_threshold=0,
        limit=None,
        num_buckets=1,
        sources=["user", "city"],
    )


def _slice(width: int | None) -> ListSlice:
    return ListSlice(-2, None, width, None if width is None else 0)
