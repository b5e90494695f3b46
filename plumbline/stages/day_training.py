"""Training on an appended day: its rows and replayed ones, from the parent's model on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.model.model_card import read_model_card
from plumbline.dlrm.model.weights import load_model
from plumbline.dlrm.tensors.tensor_file import read_tensors
from plumbline.dlrm.train.growth import PARAMETER, Growth, Start
from plumbline.dlrm.train.optimizer_file import OPTIMIZER_FILE
from plumbline.features.fitting.appending import ids_before
from plumbline.features.plan.plan import Plan, read_plan
from plumbline.stages.day_features import REPLAY
from plumbline.stages.finished import Finished
from plumbline.stages.run import PARENT
from plumbline.stages.stage import parts


def training_files(etl: Finished) -> list[Path]:
    """The day's training rows, and the replayed ones."""
    files = parts(etl.path("train"))
    return [*files, *parts(etl.path(REPLAY))] if etl.manifest.rows.get(REPLAY) else files


def start_of(inputs: Mapping[str, Finished], plan: Plan, architecture: Architecture) -> Start:
    """The parent's model and optimizers, with rows for the new ids of `plan`.

    Raises
    ------
    ModelError
        The parent's model has other settings.
    """
    before = read_plan(inputs[f"{PARENT}etl"].path("plan"))
    trained = inputs[f"{PARENT}train"]
    folder = trained.path("model")
    card = read_model_card(folder)
    growth = Growth.of(card.architecture, architecture, ids_before(before, plan))
    weights = growth.weights(load_model(folder).state_dict())
    file = trained.path(OPTIMIZER_FILE)
    state = read_tensors(file, trained.manifest.files[OPTIMIZER_FILE])
    return Start(
        card.model_hash,
        {
            **{PARAMETER + name: tensor for name, tensor in weights.items()},
            **growth.optimizer(state, architecture),
        },
    )
