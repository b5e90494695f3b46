"""Triton entry of a GPU server's `ctr_features`: raw columns to padded ids and dense features."""

from __future__ import annotations

from features.wire import Tensors
from serving.batching import Run
from serving.encoding import load_encoding
from serving.gpu_interface import to_gpu_tensors
from serving.served_version import ServedVersion
from serving.step import TritonStep


class TritonPythonModel(TritonStep):
    """The name that Triton looks for."""

    def load(self, version: ServedVersion) -> Run:
        encode = load_encoding(version)

        def run(tensors: Tensors) -> Tensors:
            return to_gpu_tensors(encode(tensors))

        return run
