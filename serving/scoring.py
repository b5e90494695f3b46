"""The model step: ids and dense features to click probabilities, by the DLRM scorer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from dlrm.scorer import Scorer
from dlrm.weights import read_model_card
from features.errors import ModelError
from features.wire import Tensors
from serving.batching import Run
from serving.interface import CLICK_PROBABILITY, DENSE, IDS, MODEL_HASH, PLAN_HASH

MODEL_FOLDER = "model"
"""Where the model lies inside a model's version folder."""


def load_scoring(folder: Path, parameters: Mapping[str, str]) -> Run:
    """Load the model of a version folder; its files are checked against their hashes.

    Raises
    ------
    ModelError
        A missing or changed file, or a model that was trained on another plan than the config's.
    """
    model_folder = folder / MODEL_FOLDER
    came = read_model_card(model_folder).model_hash
    if came != parameters[MODEL_HASH]:
        raise ModelError(
            f"{model_folder}: wanted model {parameters[MODEL_HASH][:12]}…, as the config says, "
            f"found {came[:12]}…. Export the model repository again."
        )
    scorer = Scorer.load(model_folder, parameters[PLAN_HASH])

    def run(tensors: Tensors) -> Tensors:
        rows = len(next(iter(tensors.values())))
        ids_BF = tensors.get(IDS, np.empty((rows, 0), np.int64))
        dense_BC = tensors.get(DENSE, np.empty((rows, 0), np.float32))
        probability_B = scorer.score(
            cast("NDArray[np.int64]", ids_BF), cast("NDArray[np.float32]", dense_BC)
        )
        return {CLICK_PROBABILITY: probability_B[:, np.newaxis]}

    return run
