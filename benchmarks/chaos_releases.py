"""Two releases that score differently and one that no server accepts, and their expected scores."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.criteo_plan import criteo_plan
from benchmarks.criteo_rows import frames
from benchmarks.serve_export import random_model
from benchmarks.train_work import kaggle
from plumbline.columns.wire import Tensors, to_tensors
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.model.weights import save_model
from plumbline.dlrm.ops.scoring.precision import scoring_precision
from plumbline.dlrm.score.scorer import Scorer
from plumbline.features.encoding.online import OnlineExecutor
from plumbline.features.plan.plan import Plan
from plumbline.serving.contract.check_rows import CHECK_ROWS, CheckRows
from plumbline.serving.contract.interface import FUSED_MODEL
from plumbline.serving.repository.release import Release
from plumbline.settings import Serving

SIZES = (1, 1, 1, 16, 256, 2048)
_BIAS = 0.5
"""Added to the last layer of the second release."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Raw rows, their tensors, and their scores by each release."""

    table: pa.Table
    tensors: Tensors
    scores: tuple[NDArray[np.float32], NDArray[np.float32]]

    @property
    def as_mappings(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.table.to_pylist()
        return rows


@dataclass(frozen=True, slots=True)
class Releases:
    """Odd versions are `good[0]`, even ones `good[1]`."""

    good: tuple[Release, Release]
    bad: tuple[Release, Release]
    """The same with check rows whose outputs the model does not give."""
    settings: Serving
    rows: tuple[Rows, ...]

    def expected(self, rows: Rows, version: str) -> NDArray[np.float32]:
        return rows.scores[(int(version) + 1) % 2]


def make_releases(folder: Path, share: float) -> Releases:
    """Kaggle's configuration with a share of its vocabularies and tables."""
    settings = Serving()
    plan = criteo_plan(folder / "plan", share)
    architecture: Architecture = replace(kaggle(plan.cardinalities), embedding_rows="fp32")
    model = random_model(architecture)
    checked = next(frames(CHECK_ROWS)).to_arrow()
    made = []
    for name in ("first", "second"):
        save_model(folder / name, model, plan.content_hash)
        made.append(Release.of(plan, folder / name, checked, settings))
        model.last.bias.data.add_(_BIAS)
    first, second = made
    rows = tuple(_rows(plan, folder, settings))
    return Releases((first, second), (_spoilt(first), _spoilt(second)), settings, rows)


def _spoilt(release: Release) -> Release:
    check = release.checks[FUSED_MODEL]
    outputs = {name: tensor + np.float32(0.1) for name, tensor in check.outputs.items()}
    checks = {**release.checks, FUSED_MODEL: CheckRows(check.inputs, outputs)}
    return replace(release, checks=checks)


def _rows(plan: Plan, folder: Path, settings: Serving) -> list[Rows]:
    executor = OnlineExecutor(plan)
    precision = scoring_precision(settings.precision)
    scorers = [
        Scorer.load(folder / name, plan.content_hash, precision=precision)
        for name in ("first", "second")
    ]
    names = executor.columns.names
    table = next(frames(4 * sum(SIZES))).select(names).to_arrow().combine_chunks()
    found, start = [], 0
    for size in 4 * SIZES:
        chosen = pa.Table.from_batches(table.slice(start, size).to_batches())
        start += size
        tensors = to_tensors(chosen, executor.columns)
        encoded = executor.transform(tensors)
        first, second = (
            scorer.score(encoded.ids_BF, encoded.dense_BC, encoded.bags) for scorer in scorers
        )
        found.append(Rows(chosen, tensors, (first, second)))
    return found
