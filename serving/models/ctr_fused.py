"""Triton entry of `ctr_fused`: raw columns to probabilities in one hop."""

from __future__ import annotations

from plumbline.columns.wire import Tensors
from plumbline.features.plan.plan import Plan
from plumbline.serving.backend.encoding import load_encoding
from plumbline.serving.backend.monitoring import See
from plumbline.serving.backend.scoring import load_scorer
from plumbline.serving.backend.served_version import ServedVersion
from plumbline.serving.backend.step import TritonStep
from plumbline.serving.contract.check_rows import Run
from plumbline.serving.contract.interface import CLICK_PROBABILITY
from plumbline.serving.contract.outputs import scored


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
