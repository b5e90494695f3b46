"""Triton entry of `ctr_fused`: raw columns to probabilities in one model."""

from __future__ import annotations

from functools import partial

from plumbline.serving.backend.loading import load_executor, load_scorer
from plumbline.serving.backend.model import BackendModel, Computation
from plumbline.serving.backend.served_version import ServedVersion
from plumbline.serving.contract.outputs import scored


class TritonPythonModel(BackendModel):
    """The name that Triton looks for."""

    def load(self, version: ServedVersion) -> Computation:
        executor, plan = load_executor(version)
        return Computation(executor.transform, partial(scored, load_scorer(version)), plan)
