"""Triton entry of `ctr_dlrm`: ids and dense features to probabilities."""

from __future__ import annotations

from functools import partial

from plumbline.serving.backend.loading import load_scorer
from plumbline.serving.backend.model import BackendModel, Computation
from plumbline.serving.backend.served_version import ServedVersion
from plumbline.serving.contract.outputs import from_encoded_tensors, scored


class TritonPythonModel(BackendModel):
    """The name that Triton looks for."""

    def load(self, version: ServedVersion) -> Computation:
        scorer = load_scorer(version)
        encode = partial(from_encoded_tensors, architecture=scorer.architecture)
        return Computation(encode, partial(scored, scorer), plan=None)
