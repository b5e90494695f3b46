"""Export a plan and a model as a Triton model repository."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import serving.models
from dlrm.weights import CARD_FILE, WEIGHTS_FILE, ModelCard, load_model, read_model_card
from features.errors import ModelError, PlanError
from features.files import write_text
from features.manifest import differences
from features.plan import PLAN_FILE, OutputColumn, Plan, read_plan
from features.settings import Serving
from serving.encoding import PLAN_FOLDER
from serving.interface import DLRM_MODEL, FEATURES_MODEL, FUSED_MODEL
from serving.model_configs import model_configs
from serving.scoring import MODEL_FOLDER

REPOSITORY_FOLDER = "model_repository"
VERSION = "1"

_WITH_PLAN = (FEATURES_MODEL, FUSED_MODEL)
_WITH_WEIGHTS = (DLRM_MODEL, FUSED_MODEL)


@dataclass(frozen=True, slots=True)
class Repository:
    """An exported repository; `files` are all of its files, in name order."""

    folder: Path
    plan_hash: str
    model_hash: str
    files: tuple[Path, ...]


def export_repository(plan: Plan, model_folder: Path, out: Path, settings: Serving) -> Repository:
    """Write `out/model_repository` with its four models (see `serving.interface`).

    The repository is built beside its place and renamed into it, so what has its name is whole; one
    that is there already is replaced. A file that two models need is stored once, where the file
    system has hard links.

    Raises
    ------
    PlanError
        A file of the plan is missing or was changed.
    ModelError
        The model was trained on another plan, or a file of it is missing or was changed.
    """
    _check_plan(plan)
    card = _checked_model(plan, model_folder)
    out.mkdir(parents=True, exist_ok=True)
    folder = out / REPOSITORY_FOLDER
    with tempfile.TemporaryDirectory(prefix=f".{REPOSITORY_FOLDER}-", dir=out) as scratch:
        built = Path(scratch) / REPOSITORY_FOLDER
        for model, config in model_configs(plan, card.model_hash, settings).items():
            write_text(built / model / "config.pbtxt", config)
            (built / model / VERSION).mkdir()
        for model in (FEATURES_MODEL, DLRM_MODEL, FUSED_MODEL):
            shutil.copyfile(_entry(model), built / model / VERSION / "model.py")
        _place(plan.folder, _plan_files(plan), built, PLAN_FOLDER, _WITH_PLAN)
        _place(model_folder, [CARD_FILE, WEIGHTS_FILE], built, MODEL_FOLDER, _WITH_WEIGHTS)
        if folder.exists():
            folder.replace(Path(scratch) / "replaced")
        built.replace(folder)
    files = tuple(sorted(file for file in folder.rglob("*") if file.is_file()))
    return Repository(folder, plan.content_hash, card.model_hash, files)


def _entry(model: str) -> Path:
    (folder,) = serving.models.__path__
    return Path(folder) / f"{model}.py"


def _plan_files(plan: Plan) -> list[str]:
    return [PLAN_FILE, *plan.files]


def _place(
    source: Path, names: list[str], repository: Path, inside: str, models: tuple[str, ...]
) -> None:
    """Copy the files into the first model's version folder, and link them into the others'.

    They are not linked to the source: what a later run of a stage writes there must not come here.
    """
    first, *others = (repository / model / VERSION / inside for model in models)
    for name in names:
        (first / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, first / name)
        for other in others:
            (other / name).parent.mkdir(parents=True, exist_ok=True)
            _link_or_copy(first / name, other / name)


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _check_plan(plan: Plan) -> None:
    came = read_plan(plan.folder).content_hash
    if came != plan.content_hash:
        raise PlanError.damaged(str(plan.folder / PLAN_FILE), plan.content_hash, came)
    plan.tables()


def _checked_model(plan: Plan, folder: Path) -> ModelCard:
    card = read_model_card(folder)
    if card.plan_hash != plan.content_hash:
        architecture = card.architecture
        cardinalities = zip(architecture.categorical, architecture.cardinalities, strict=True)
        of_model = dict.fromkeys(architecture.continuous, "continuous") | dict(cardinalities)
        columns = {column.name: _form(column) for column in plan.outputs}
        found = differences(of_model, columns) or ["same columns, other steps"]
        wanted, came = plan.content_hash[:12], card.plan_hash[:12]
        raise ModelError(
            f"{folder / CARD_FILE}: wanted a model of feature plan {wanted}…, found one of "
            f"{came}… ({'; '.join(found)}). Train it again on this plan."
        )
    load_model(folder)
    return card


def _form(column: OutputColumn) -> int | str:
    return column.cardinality if column.is_categorical else "continuous"
