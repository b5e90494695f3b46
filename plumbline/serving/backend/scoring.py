"""The model step: ids and dense features to click probabilities, by the DLRM scorer."""

from __future__ import annotations

from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.model.model_card import CARD_FILE, read_model_card
from plumbline.dlrm.score.scorer import Scorer
from plumbline.serving.backend.served_version import ServedVersion
from plumbline.serving.contract.interface import MODEL_HASH, PLAN_HASH
from plumbline.serving.contract.versions import MODEL_FOLDER


def load_scorer(version: ServedVersion) -> Scorer:
    """Load the model of a served version; its files are checked against their hashes.

    Raises
    ------
    ModelError
        A missing or changed file, or another model than the config's, or one that was trained on
        another plan than the config's.
    """
    model_folder = version.folder / MODEL_FOLDER
    wanted, came = version.parameters[MODEL_HASH], read_model_card(model_folder).model_hash
    if came != wanted:
        raise ModelError(
            f"{model_folder / CARD_FILE}: wanted model {wanted[:12]}…, as the config says, "
            f"found {came[:12]}…. Export the model repository again."
        )
    return Scorer.load(
        model_folder,
        version.parameters[PLAN_HASH],
        precision=version.precision or "fp32",
        threads=version.threads,
    )
