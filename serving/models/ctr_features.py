"""Triton entry of `ctr_features`: raw columns to ids and dense features."""

from __future__ import annotations

from features.wire import Tensors
from serving.batching import Run
from serving.encoding import load_encoding, to_encoded_tensors
from serving.served_version import ServedVersion
from serving.step import TritonStep


class TritonPythonModel(TritonStep):
    """The name that Triton looks for."""

    def load(self, version: ServedVersion) -> Run:
        encode = load_encoding(version)

        def run(tensors: Tensors) -> Tensors:
            return to_encoded_tensors(encode(tensors))

        return run
