"""Load a version's executor, from its plan, and its scorer, from its weights."""

from __future__ import annotations

from pathlib import Path

from plumbline.base.device import Missing
from plumbline.base.errors import MachineError
from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.model.model_card import CARD_FILE, read_model_card
from plumbline.dlrm.ops.library import missing_cuda_module, required_cuda_module
from plumbline.dlrm.score.gpu_scorer import GpuScorer
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
    return Scorer.load(
        _model_folder(version),
        version.parameters[PLAN_HASH],
        precision=version.precision or "fp32",
        threads=version.threads,
    )


def load_gpu_scorer(version: ServedVersion) -> GpuScorer:
    """The scorer of a version's model on the instance's GPU, with the same checks.

    Raises
    ------
    ModelError
        As `load_scorer`; or the model is in int8.
    MachineError
        The instance has no GPU, the CUDA kernels are missing, or the GPU cannot take the model.
    """
    if version.gpu is None:
        raise _no_gpu(version, Missing("its instance is on the CPU", "Set KIND_GPU in its config"))
    missing = missing_cuda_module()
    if missing is not None:
        raise _no_gpu(version, missing)
    if version.precision == "int8":
        raise ModelError(f"Model {version.model!r}: a GPU scores in fp32 or bf16, not in int8.")
    return GpuScorer.load(
        required_cuda_module(),
        version.gpu,
        _model_folder(version),
        version.parameters[PLAN_HASH],
        precision=version.precision or "fp32",
        most_rows=version.limits.rows,
    )


def _no_gpu(version: ServedVersion, missing: Missing) -> MachineError:
    return MachineError(
        f"Model {version.model!r}: wanted to score on a GPU, but {missing.what}. "
        f"{missing.remedy}, or serve the repository for CPUs."
    )


def _model_folder(version: ServedVersion) -> Path:
    """Raises ModelError unless its model is the one that the config names."""
    folder = version.folder / MODEL_FOLDER
    wanted, got = version.parameters[MODEL_HASH], read_model_card(folder).model_hash
    if got != wanted:
        raise ModelError(
            f"{folder / CARD_FILE}: wanted model {wanted[:12]}…, as the config says, "
            f"got {got[:12]}…. Export the model repository again."
        )
    return folder
