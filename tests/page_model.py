"""A small model for the tests of the page: every kind of column, and hostile names and values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.model.dlrm import DLRM
from plumbline.dlrm.model.weights import save_model
from plumbline.features.operators.date_part import DatePart
from plumbline.features.operators.fill_missing import FillMissing
from plumbline.features.operators.normalize import Normalize
from plumbline.features.operators.range_ids import RangeIds
from plumbline.features.plan.plan import InputColumn, Plan, output_column, write_plan
from plumbline.features.steps.chains import Chain
from plumbline.serving.client.core import ServedModel
from plumbline.serving.client.transport import ModelConfig
from plumbline.serving.contract.interface import FUSED_MODEL
from plumbline.serving.contract.versions import CONFIG_FILE
from plumbline.serving.repository.configs import parameters_in, read_config
from plumbline.serving.repository.release import Release
from plumbline.settings import Model, Serving
from tests.plans import categorify

SETTINGS = Serving(max_batch_size=64, precision="fp32")
HOSTILE = '<img src=x onerror="window.hacked=1">'
"""A column's name and a value."""
KNOWN: dict[str, list[Any]] = {
    "city": ["Oslo", "Rome", "Zürich", "<script>window.hacked=1</script>", "oslo-two"],
    "user": [7, 8, 2**62],
    "device": [0x1A, -1],
    "tags": ["new", "a, b", HOSTILE],
    "visited": [7, 2**62],
    HOSTILE: [HOSTILE, "'\"><b>bold</b>"],
}
KINDS: dict[str, Any] = {
    "city": "string",
    "price": "continuous",
    "user": "integer",
    "device": "hex",
    "tags": "string_list",
    "visited": "integer_list",
    HOSTILE: "string",
    "seen": "time",
    "new": "boolean",
}
NOON = 1_700_000_000_000_000
ROWS = pa.table(
    {
        "city": ["Oslo", None, "Atlantis"],
        "price": pa.array([0.1, None, 30.0], pa.float32()),
        "user": [7, None, 9],
        "device": [26, None, 0],
        "tags": [["new"], None, ["x", "y"]],
        "visited": [[7], None, []],
        HOSTILE: [HOSTILE, None, "x"],
        "seen": pa.array([NOON, None, NOON + 3_600_000_000], pa.int64()),
        "new": pa.array([1, None, 0], pa.int64()),
    }
)
ROW: dict[str, Any] = {
    "city": "Oslo", "price": 2.5, "user": 8, "device": "1a", "tags": ["new", "nowhere"],
    "visited": None, HOSTILE: HOSTILE, "seen": "2023-11-14 22:13:20", "new": True,
}  # fmt: skip


def write_page_plan(folder: Path, known: dict[str, list[Any]] = KNOWN) -> Plan:
    """A plan with these vocabularies, most frequent values first."""
    inputs = tuple(InputColumn(name, kind) for name, kind in KINDS.items())
    steps: dict[str, tuple[Any, ...]] = {
        name: (categorify(folder, name, values),) for name, values in known.items()
    }
    steps["price"] = (FillMissing(1.0), Normalize(3.0, 2.0))
    steps["seen"] = (DatePart("hour", 0), RangeIds(0, 23))
    steps["new"] = (FillMissing(0.0),)
    outputs = [output_column(name, Chain((name,), steps[name]), inputs) for name in KINDS]
    return write_plan(folder, inputs, tuple(outputs))


def page_release(folder: Path, *, seed: int = 3, known: dict[str, list[Any]] = KNOWN) -> Release:
    """A release of a model with these weights, in `folder`."""
    plan = write_page_plan(folder / "plan", known)
    sizes = Model(embedding_dim=8, bottom_mlp=(16, 8), top_mlp=(16,))
    model = DLRM(Architecture.of(plan, sizes), seed=seed)
    model.tables.weight.data.mul_(100.0)  # so that ids change the score
    save_model(folder / "model", model, plan.content_hash)
    return Release.of(plan, folder / "model", ROWS, SETTINGS)


def served_model(repository: Path, model: str = FUSED_MODEL) -> ServedModel:
    """What a gateway knows of version 1 of a model."""
    config = read_config(repository / model / CONFIG_FILE)
    parameters = parameters_in(config)
    return ServedModel(ModelConfig(model, config.max_batch_size, parameters), "1")
