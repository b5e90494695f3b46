"""Triton entry of `ctr_fused`: raw columns to probabilities in one hop."""

from __future__ import annotations

from features.plan import Plan
from features.wire import Tensors
from serving.repository.interface import CLICK_PROBABILITY
from serving.steps.batching import Run
from serving.steps.encoding import load_encoding
from serving.steps.monitoring import See
from serving.steps.scoring import load_scorer, scored
from serving.steps.served_version import ServedVersion
from serving.steps.step import TritonStep


class TritonPythonModel(TritonStep):
    """The name that Triton looks for."""

    def load(self, version: ServedVersion, see: See) -> tuple[Run, Plan | None]:
        (encode, plan), scorer = load_encoding(version), load_scorer(version)

        def run(tensors: Tensors) -> Tensors:
            encoded = encode(tensors)
            outputs = scored(scorer, encoded)
            see(tensors, encoded, outputs[CLICK_PROBABILITY])
            return outputs

        return run, plan
