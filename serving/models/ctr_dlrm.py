"""Triton entry of `ctr_dlrm`: ids and dense features to probabilities."""

from __future__ import annotations

from features.plan import Plan
from features.wire import Tensors
from serving.repository.interface import CLICK_PROBABILITY
from serving.steps.batching import Run
from serving.steps.monitoring import See
from serving.steps.scoring import from_encoded_tensors, load_scorer, scored
from serving.steps.served_version import ServedVersion
from serving.steps.step import TritonStep


class TritonPythonModel(TritonStep):
    """The name that Triton looks for."""

    def load(self, version: ServedVersion, see: See) -> tuple[Run, Plan | None]:
        scorer = load_scorer(version)

        def run(tensors: Tensors) -> Tensors:
            outputs = scored(scorer, from_encoded_tensors(tensors, scorer.architecture))
            see(tensors, None, outputs[CLICK_PROBABILITY])
            return outputs

        return run, None
