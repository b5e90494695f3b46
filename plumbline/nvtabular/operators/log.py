"""LogOp: log(1 + x)."""

from __future__ import annotations

from typing import Any

import numpy as np

from plumbline.features.operators.log import Log
from plumbline.features.steps.chains import Source
from plumbline.nvtabular.library import ops
from plumbline.nvtabular.operator_call import CompiledOperator, OperatorCall
from plumbline.nvtabular.patching.columns import changed


def log(at: OperatorCall) -> Source:
    return at.step(Log(), at.numbers(at.output))


class LogOp(ops.LogOp):
    """Computes in float64."""

    def transform(self, col_selector: Any, df: Any) -> Any:
        with np.errstate(invalid="ignore", divide="ignore"):
            return changed(df, col_selector.names, lambda _, column: np.log(column + 1.0))


OPERATORS = (CompiledOperator(ops.LogOp, log, LogOp),)
