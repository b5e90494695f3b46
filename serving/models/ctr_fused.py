"""Triton entry of `ctr_fused`: raw columns to probabilities in one hop."""

from __future__ import annotations

from features.plan import Plan
from features.wire import Tensors
from serving.batching import Run
from serving.encoding import load_encoding
from serving.interface import CLICK_PROBABILITY
from serving.monitoring import See
from serving.scoring import load_scorer, scored
from serving.served_version import ServedVersion
from serving.step import TritonStep


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
