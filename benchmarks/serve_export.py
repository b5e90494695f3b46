"""The repository that the serving benchmark serves, of Criteo's size, and its expected answers.

Legend: R rows of a table, D embedding length.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import torch
from torch import Tensor

from benchmarks.criteo_plan import criteo_plan
from benchmarks.criteo_rows import frames
from benchmarks.train_work import article, fill_rows, kaggle, set_first_weights
from plumbline.dlrm.model.architecture import Architecture, RowPrecision
from plumbline.dlrm.model.dlrm import DLRM
from plumbline.dlrm.model.weights import save_model
from plumbline.dlrm.ops.scoring.precision import scoring_precision
from plumbline.dlrm.score.scorer import Scorer
from plumbline.features.encoding.online import OnlineExecutor
from plumbline.features.plan.plan import Plan, read_plan
from plumbline.serving.contract.check_rows import CHECK_ROWS
from plumbline.serving.contract.interface import FUSED_MODEL
from plumbline.serving.contract.versions import MODEL_FOLDER, PLAN_FOLDER
from plumbline.serving.repository.export import (
    FIRST_VERSION,
    REPOSITORY_FOLDER,
    write_repository,
)
from plumbline.serving.repository.release import Release
from plumbline.settings import Serving

ARCHITECTURES = {"kaggle": kaggle, "article": article}

READY_SECONDS = 300.0
"""Time limit for a server to become ready."""
GAIN = 6**0.5
"""Factor on the initial weights of training: activations keep their size through a layer and its
ReLU, so scores spread."""


@dataclass(frozen=True, slots=True)
class Served:
    """An exported repository of one configuration."""

    name: str
    plan: Plan
    architecture: Architecture
    repository: Path
    settings: Serving

    @property
    def embedding_rows(self) -> str:
        """Description of the tables, as `33,762,604 rows of 128 in bf16`."""
        shape = self.architecture
        return (
            f"{sum(shape.cardinalities):,} rows of {shape.embedding_dim} in {shape.embedding_rows}"
        )

    def offline(self) -> tuple[OnlineExecutor, Scorer]:
        """Executor and scorer of the exported files, without a server."""
        folder = self.repository / FUSED_MODEL / FIRST_VERSION
        scorer = Scorer.load(
            folder / MODEL_FOLDER,
            self.plan.content_hash,
            precision=scoring_precision(self.settings.precision),
        )
        return OnlineExecutor(read_plan(folder / PLAN_FOLDER)), scorer


def export_criteo(
    name: str, folder: Path, share: float, rows: RowPrecision, settings: Serving
) -> Served:
    """The configuration `name` on vocabularies of Criteo's sizes, or a share of them."""
    plan = criteo_plan(folder / "plan", share)
    return export(name, plan, folder, rows, settings, next(frames(CHECK_ROWS)).to_arrow())


def export(
    name: str, plan: Plan, folder: Path, rows: RowPrecision, settings: Serving, checked: pa.Table
) -> Served:
    """Export a model of random weights on the plan, with these check rows.

    Only the exported copy stays on disk.
    """
    architecture = replace(ARCHITECTURES[name](plan.cardinalities), embedding_rows=rows)
    save_model(folder / "model", random_model(architecture), plan.content_hash)
    repository = folder / REPOSITORY_FOLDER
    release = Release.of(plan, folder / "model", checked, settings)
    write_repository(release, repository, settings)
    shutil.rmtree(folder / "model")
    return Served(name, plan, architecture, repository, settings)


def random_model(architecture: Architecture) -> DLRM:
    """A model whose scores spread, always the same one."""
    model = DLRM(architecture, seed=None)
    state = {name: _empty(weight) for name, weight in model.state_dict().items()}
    model.load_state_dict(state, assign=True)
    set_first_weights(architecture, model, ())
    for weight in state.values():
        if weight.dim() == 2 and weight is not state["tables.weight"]:
            weight.mul_(GAIN)
    fill_rows(state["tables.weight"], architecture.embedding_dim**-0.5, seed=3)
    return model


def _empty(weight: Tensor) -> Tensor:
    return torch.empty(weight.shape, dtype=weight.dtype)
