"""A small plan and model with every kind of column, exported for a server."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from plumbline.columns.values import Lists
from plumbline.columns.wire import NULL_BYTES, NULL_INT64, Tensors, from_tensors
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.model.dlrm import DLRM
from plumbline.dlrm.model.weights import save_model
from plumbline.dlrm.score.scorer import Scorer
from plumbline.features.encoding.online import OnlineExecutor
from plumbline.features.operators.clip import Clip
from plumbline.features.operators.fill_missing import FillMissing
from plumbline.features.operators.log import Log
from plumbline.features.operators.normalize import Normalize
from plumbline.settings import Model, Serving
from tests.fuzz.pool import Pool, make_pool, odd_tensors
from tests.plans import categorify, plan_of
from tests.serving.releases import export_repository

MAX_BATCH_SIZE = 64

KNOWN = {
    "shop": ["north", "south", "über"],
    "hour": [12, -3, 2**62],
    "device": [0x1A, 0],
    "visited": [7, -1, 2**62],
    "tags": ["new", "ünique", "x" * 300],
}
_KINDS = {
    "shop": "string",
    "price": "continuous",
    "hour": "integer",
    "views": "continuous",
    "device": "hex",
    "visited": "integer_list",
    "tags": "string_list",
}
_POOL_ROWS = 600
_CHECK_ROWS = pa.table(
    {name: [*KNOWN[name][:2], None] if name in KNOWN else [1.5, -3.0, None] for name in _KINDS}
    | {name: [KNOWN[name], [], None] for name in ("visited", "tags")}
)


@dataclass(frozen=True)
class Line:
    """A model repository, and the executor and answers to compare it with."""

    repository: Path
    executor: OnlineExecutor
    scorer: Scorer
    pool: Pool
    raw: Tensors

    def ids_by_hand(self) -> dict[str, list[object]]:
        """The pool's ids of each categorical column, looked up in a dictionary."""
        values = from_tensors(self.raw, self.executor.columns)
        return {name: _ids(name, values[name]) for name in KNOWN}


def make_line(folder: Path) -> Line:
    outputs = {
        name: (name, categorify(folder / "plan", name, KNOWN[name]))
        if name in KNOWN
        else (name, FillMissing(0.5), Clip(0.0, 50.0), Log(), Normalize(1.25, 0.75))
        for name in _KINDS
    }
    plan = plan_of(folder / "plan", _KINDS, **outputs)
    settings = Model(embedding_dim=8, bottom_mlp=(16, 8), top_mlp=(16,))
    model = DLRM(Architecture.of(plan, settings), seed=3)
    model.tables.weight.data.mul_(100.0)  # so that ids change the score
    save_model(folder / "model", model, plan.content_hash)
    serving = Serving(max_batch_size=MAX_BATCH_SIZE, precision="fp32")
    exported = export_repository(plan, folder / "model", folder / "export", serving, _CHECK_ROWS)
    executor = OnlineExecutor(plan)
    raw = odd_tensors(np.random.default_rng(1), executor.columns, KNOWN, _POOL_ROWS)
    scorer = Scorer.load(folder / "model", plan.content_hash)
    return Line(exported, executor, scorer, make_pool(raw, executor, scorer), raw)


def _ids(name: str, values: object) -> list[object]:
    """0 is padding, 1 a missing value, 2 an unseen value; the known values follow in order."""
    known: dict[object, int] = {NULL_INT64: 1, NULL_BYTES: 1}
    for index, value in enumerate(KNOWN[name]):
        known[value.encode() if isinstance(value, str) else value] = 3 + index
    if isinstance(values, Lists):
        flat = [known.get(value, 2) for value in _objects(values.values)]
        bounds = values.offsets.tolist()
        return [flat[start:end] for start, end in pairwise(bounds)]
    return [known.get(value, 2) for value in _objects(values)]


def _objects(values: object) -> list[object]:
    to_objects = getattr(values, "to_objects", None)
    return (to_objects() if to_objects else values).tolist()
