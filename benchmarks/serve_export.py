"""What the serving benchmark serves: a repository of Criteo's size, and what it has to answer.

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
from benchmarks.train_work import PERIOD, article, kaggle, set_first_weights
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
"""After which a server is given up."""
GAIN = 6**0.5
"""Over the first weights of training: what goes through a layer and its ReLU keeps its size, so
that scores spread."""


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
        """For the reader: `33,762,604 rows of 128 in bf16`."""
        shape = self.architecture
        return (
            f"{sum(shape.cardinalities):,} rows of {shape.embedding_dim} in {shape.embedding_rows}"
        )

    def offline(self) -> tuple[OnlineExecutor, Scorer]:
        """What encodes and scores rows without a server, from the exported files."""
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
    """A model of random weights on the plan, exported with these check rows.

    Its first copy does not stay on the disk.
    """
    architecture = replace(ARCHITECTURES[name](plan.cardinalities), embedding_rows=rows)
    save_model(folder / "model", _model(architecture), plan.content_hash)
    repository = folder / REPOSITORY_FOLDER
    release = Release.of(plan, folder / "model", checked, settings)
    write_repository(release, repository, settings)
    shutil.rmtree(folder / "model")
    return Served(name, plan, architecture, repository, settings)


def _model(architecture: Architecture) -> DLRM:
    model = DLRM(architecture, seed=None)
    state = {name: _empty(weight) for name, weight in model.state_dict().items()}
    model.load_state_dict(state, assign=True)
    set_first_weights(architecture, model, ())
    for weight in state.values():
        if weight.dim() == 2 and weight is not state["tables.weight"]:
            weight.mul_(GAIN)
    _fill(state["tables.weight"])
    return model


def _empty(weight: Tensor) -> Tensor:
    return torch.empty(weight.shape, dtype=weight.dtype)


def _fill(rows_RD: Tensor) -> None:
    """N(0, 1/D); the rows repeat after `PERIOD`, to draw them in time."""
    generator = torch.Generator().manual_seed(3)
    deviation = rows_RD.shape[1] ** -0.5
    block = torch.empty(PERIOD, rows_RD.shape[1]).normal_(0.0, deviation, generator=generator)
    block = block.to(rows_RD.dtype)
    for part_RD in rows_RD.split(PERIOD):
        part_RD.copy_(block[: len(part_RD)])
