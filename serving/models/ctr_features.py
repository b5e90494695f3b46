"""Triton entry of `ctr_features`: raw columns to ids and dense features."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from serving.batching import Run
from serving.encoding import load_encoding
from serving.step import TritonStep


class TritonPythonModel(TritonStep):
    """The name that Triton looks for."""

    def load(self, folder: Path, parameters: Mapping[str, str]) -> Run:
        return load_encoding(folder, parameters)
