"""Triton entry of `ctr_features`: raw columns to ids and dense features."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from features.wire import Tensors
from serving.batching import Run
from serving.encoding import load_encoding, to_encoded_tensors
from serving.step import TritonStep


class TritonPythonModel(TritonStep):
    """The name that Triton looks for."""

    def load(self, folder: Path, parameters: Mapping[str, str]) -> Run:
        encode = load_encoding(folder, parameters)

        def run(tensors: Tensors) -> Tensors:
            return to_encoded_tensors(encode(tensors))

        return run
