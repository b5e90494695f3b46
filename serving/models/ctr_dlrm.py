"""Triton entry of `ctr_dlrm`: ids and dense features to probabilities."""

from __future__ import annotations

from features.wire import Tensors
from serving.batching import Run
from serving.scoring import from_encoded_tensors, load_scorer, scored
from serving.served_version import ServedVersion
from serving.step import TritonStep


class TritonPythonModel(TritonStep):
    """The name that Triton looks for."""

    def load(self, version: ServedVersion) -> Run:
        scorer = load_scorer(version)

        def run(tensors: Tensors) -> Tensors:
            return scored(scorer, from_encoded_tensors(tensors, scorer.architecture))

        return run
