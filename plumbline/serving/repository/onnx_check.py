"""Run an exported ONNX model on its check rows, with ONNX Runtime on the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from plumbline.serving.contract.check_rows import CheckRows
from plumbline.serving.contract.interface import CLICK_PROBABILITY
from plumbline.serving.errors import RepositoryError

TOLERANCE = 1e-5
"""ONNX Runtime and the scorer both sum in float32, in different orders."""


def check_onnx(file: Path, check: CheckRows) -> None:
    """Compare the model's outputs with the check rows'.

    Raises
    ------
    RepositoryError
        A probability differs by more than 10⁻⁵.
    """
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (got_B1,) = session.run([CLICK_PROBABILITY], check.inputs)
    largest = float(np.abs(got_B1 - check.outputs[CLICK_PROBABILITY]).max())
    if not largest <= TOLERANCE:
        raise RepositoryError(
            f"{file}: wanted the scorer's probabilities within {TOLERANCE:g}, got a difference of "
            f"{largest:g}. Serve the Python models, and report this."
        )
