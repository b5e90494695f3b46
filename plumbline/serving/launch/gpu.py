"""What a machine lacks to serve a repository for GPUs."""

from __future__ import annotations

from pathlib import Path

from tritonclient.grpc.model_config_pb2 import ModelInstanceGroup

from plumbline.base.device import missing_driver
from plumbline.dlrm.ops.library import missing_cuda_module
from plumbline.serving.check.served_model import models_in
from plumbline.serving.contract.interface import FUSED_MODEL
from plumbline.serving.contract.versions import CONFIG_FILE
from plumbline.serving.errors import ServerError
from plumbline.serving.repository.configs import read_config


def require_gpu(repository: Path) -> None:
    """Raises ServerError if a model of the repository runs on a GPU, and something is missing.

    Triton would not start either, but its error says less.
    """
    models = [model for model in models_in(repository) if _is_for_gpu(repository, model)]
    if not models:
        return
    missing = missing_driver()
    if missing is None and FUSED_MODEL in models:
        missing = missing_cuda_module()
    if missing is not None:
        raise ServerError(
            f"{repository}: wanted a GPU for {', '.join(models)}, but {missing.what}. "
            f"{missing.remedy}, or serve the repository for CPUs."
        )


def _is_for_gpu(repository: Path, model: str) -> bool:
    groups = read_config(repository / model / CONFIG_FILE).instance_group
    return any(group.kind == ModelInstanceGroup.KIND_GPU for group in groups)
