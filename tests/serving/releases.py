"""A small plan and a small model, for the tests of repositories."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.model.dlrm import DLRM
from plumbline.dlrm.model.weights import save_model
from plumbline.features.operators.fill_missing import FillMissing
from plumbline.features.plan.plan import Plan
from plumbline.serving.repository.export import REPOSITORY_FOLDER, write_repository
from plumbline.serving.repository.release import Release
from plumbline.settings import Model, Serving
from tests.plans import categorify, plan_of

SETTINGS = Serving(max_batch_size=64, precision="fp32")  # on any processor
ROWS = pa.table({"price": [1.0, None, 3.0], "city": ["Oslo", None, "Atlantis"]})


def write_small_plan(folder: Path, cities: list[str]) -> Plan:
    return plan_of(
        folder,
        {"price": "continuous", "city": "string"},
        price=("price", FillMissing(0.0)),
        city=("city", categorify(folder, "city", cities)),
    )


def export_repository(
    plan: Plan, model_folder: Path, out: Path, settings: Serving, rows: pa.Table
) -> Path:
    """A repository as stage export writes it, in `out/model_repository`."""
    repository = out / REPOSITORY_FOLDER
    write_repository(Release.of(plan, model_folder, rows, settings), repository, settings)
    return repository


def model_of(plan: Plan, folder: Path, seed: int) -> Path:
    settings = Model(embedding_dim=4, bottom_mlp=(4,), top_mlp=(4,))
    save_model(folder, DLRM(Architecture.of(plan, settings), seed=seed), plan.content_hash)
    return folder
