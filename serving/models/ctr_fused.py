"""Triton entry of `ctr_fused`: raw columns to probabilities in one hop."""

from __future__ import annotations

from features.wire import Tensors
from serving.batching import Run
from serving.encoding import load_encoding
from serving.scoring import load_scorer, scored
from serving.served_version import ServedVersion
from serving.step import TritonStep


class TritonPythonModel(TritonStep):
    """The name that Triton looks for."""

    def load(self, version: ServedVersion) -> Run:
        encode, scorer = load_encoding(version), load_scorer(version)

        def run(tensors: Tensors) -> Tensors:
            return scored(scorer, encode(tensors))

        return run
