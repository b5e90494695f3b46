"""Triton entry of `ctr_fused`: raw columns to probabilities in one hop."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from features.wire import Tensors
from serving.batching import Run
from serving.encoding import load_encoding
from serving.scoring import load_scorer, scored
from serving.step import TritonStep


class TritonPythonModel(TritonStep):
    """The name that Triton looks for."""

    def load(self, folder: Path, parameters: Mapping[str, str]) -> Run:
        encode, scorer = load_encoding(folder, parameters), load_scorer(folder, parameters)

        def run(tensors: Tensors) -> Tensors:
            return scored(scorer, encode(tensors))

        return run
