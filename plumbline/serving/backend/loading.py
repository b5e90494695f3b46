"""Load a version's executor, from its plan, and its scorer, from its weights."""

from __future__ import annotations

from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.model.model_card import CARD_FILE, read_model_card
from plumbline.dlrm.score.scorer import Scorer
from plumbline.features.encoding.online import OnlineExecutor
from plumbline.features.plan.plan import Plan, read_plan
from plumbline.serving.backend.served_version import ServedVersion
from plumbline.serving.contract.interface import MODEL_HASH, PLAN_HASH, check_raw_parameters
from plumbline.serving.contract.versions import MODEL_FOLDER, PLAN_FOLDER


def load_executor(version: ServedVersion) -> tuple[OnlineExecutor, Plan]:
    """The executor of a version's plan; the files are checked against their hashes.

    Raises
    ------
    PlanError
        A file is missing or was changed, or the plan does not fit the model's config.
    """
    plan = read_plan(version.folder / PLAN_FOLDER)
    check_raw_parameters(plan, version.parameters)
    return OnlineExecutor(plan), plan


def load_scorer(version: ServedVersion) -> Scorer:
    """The scorer of a version's model; the files are checked against their hashes.

    Raises
    ------
    ModelError
        A file is missing or was changed, or the config names another model, or another plan than
        the one it was trained on.
    """
    folder = version.folder / MODEL_FOLDER
    wanted, got = version.parameters[MODEL_HASH], read_model_card(folder).model_hash
    if got != wanted:
        raise ModelError(
            f"{folder / CARD_FILE}: wanted model {wanted[:12]}…, as the config says, "
            f"got {got[:12]}…. Export the model repository again."
        )
    return Scorer.load(
        folder,
        version.parameters[PLAN_HASH],
        precision=version.precision or "fp32",
        threads=version.threads,
    )
