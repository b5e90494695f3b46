"""Triton entry of `ctr_dlrm`: ids and dense features to probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from serving.batching import Run
from serving.scoring import load_scoring
from serving.step import TritonStep


class TritonPythonModel(TritonStep):
    """The name that Triton looks for."""

    def load(self, folder: Path, parameters: Mapping[str, str]) -> Run:
        return load_scoring(folder, parameters)
