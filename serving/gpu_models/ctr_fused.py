"""Triton entry of a GPU server's `ctr_fused`: raw columns to probabilities on the GPU."""

from __future__ import annotations

from functools import partial

from plumbline.serving.backend.loading import load_executor, load_gpu_scorer
from plumbline.serving.backend.model import BackendModel, Computation
from plumbline.serving.backend.served_version import ServedVersion
from plumbline.serving.contract.outputs import scored_on_gpu


class TritonPythonModel(BackendModel):
    """The name that Triton looks for."""

    def load(self, version: ServedVersion) -> Computation:
        executor, plan = load_executor(version)
        scorer = load_gpu_scorer(version)
        return Computation(executor.transform, partial(scored_on_gpu, scorer), plan)
