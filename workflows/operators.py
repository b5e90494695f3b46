"""The compiled form of each NVTabular operator.

An operator is looked up by its exact type: a subclass may compute something else. A parameter that
has no compiled form raises; nothing is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from features import steps
from features.errors import DataError, PlanError, UnsupportedOperator
from features.unfitted import FitCategorify, FitNormalize, UnfittedStep
from workflows.categorify import Categorify
from workflows.library import ops

SUPPORTED = (
    "AddMetadata",
    "AddTags",
    "Categorify",
    "Clip",
    "FillMissing",
    "LogOp",
    "Normalize",
    "Rename",
)
"""What a workflow may be made of, beside the selection and concatenation of columns."""


def compile_operator(operator: Any, column: str) -> steps.Step:
    """The step that a fitted operator applies to `column`, its name where it is applied.

    Raises
    ------
    UnsupportedOperator
        No compiled form for a parameter's value.
    PlanError, DataError
        The operator is not fitted, or its statistics are not finite.
    """
    return COMPILED[type(operator)](operator, column)


def compile_unfitted_operator(operator: Any, column: str) -> UnfittedStep:
    """The same before the operator is fitted: what it has to learn is left open.

    Raises
    ------
    UnsupportedOperator
        No compiled form for a parameter's value.
    """
    if isinstance(operator, ops.Normalize):
        _check_normalize(operator, column)
        return FitNormalize()
    step = compile_operator(operator, column)
    if isinstance(step, steps.Categorify):
        return FitCategorify(step.frequency_threshold)
    if not isinstance(step, steps.FloatStep):
        raise TypeError(f"{type(step).__name__} is neither a Categorify nor a float step")
    return step


def _categorify(operator: Any, column: str) -> steps.Step:
    without_form = {
        "num_buckets": operator.num_buckets,
        "max_size": operator.max_size,
        "vocabs": operator.vocabs,
        "search_sorted": operator.search_sorted,
        "single_table": operator.single_table,
        "encode_type": None if operator.encode_type == "joint" else operator.encode_type,
        "jointly encoded with": operator.storage_name.get(column),
    }
    for parameter, value in without_form.items():
        if value:
            raise _unsupported("Categorify", column, parameter, value)
    if np.dtype(operator.output_dtype) not in (np.dtype(np.int64), np.dtype(np.int32)):
        raise _unsupported("Categorify", column, "dtype", np.dtype(operator.output_dtype).name)
    threshold = operator.freq_threshold
    if isinstance(threshold, dict):
        threshold = threshold[column]
    return steps.Categorify(
        frequency_threshold=int(threshold), cardinality=0, vocabulary="", sha256=""
    )


def _fill_missing(operator: Any, column: str) -> steps.Step:
    if operator.add_binary_cols:
        raise _unsupported("FillMissing", column, "add_binary_cols", True)
    return steps.FillMissing(_number("FillMissing", column, "fill_val", operator.fill_val))


def _clip(operator: Any, column: str) -> steps.Step:
    bounds = {"min_value": operator.min_value, "max_value": operator.max_value}
    minimum, maximum = (
        None if value is None else _number("Clip", column, parameter, value)
        for parameter, value in bounds.items()
    )
    return steps.Clip(minimum, maximum)


def _log(operator: Any, column: str) -> steps.Step:
    return steps.Log()


def _normalize(operator: Any, column: str) -> steps.Step:
    _check_normalize(operator, column)
    if column not in operator.means:
        raise PlanError(f"Column {column!r}: Normalize is not fitted. Fit the workflow first.")
    mean, deviation = operator.means[column], operator.stds[column]
    if not math.isfinite(mean) or math.isinf(deviation):
        raise DataError(
            f"Column {column!r}: its mean in the training split is {mean}, its deviation "
            f"{deviation}, and no number can be normalized by them. Clip the column, or remove the "
            "infinite values from the log."
        )
    # NVTabular only centres where the deviation is 0, or not a number as for a single row.
    return steps.Normalize(mean, deviation if deviation > 0 else 0.0)


def _check_normalize(operator: Any, column: str) -> None:
    if np.dtype(operator.output_dtype) != np.dtype(np.float32):
        name = np.dtype(operator.output_dtype).name
        raise _unsupported("Normalize", column, "out_dtype", name)


COMPILED: dict[type, Callable[[Any, str], steps.Step]] = {
    Categorify: _categorify,
    ops.Categorify: _categorify,
    ops.Clip: _clip,
    ops.FillMissing: _fill_missing,
    ops.LogOp: _log,
    ops.Normalize: _normalize,
}


def _number(operator: str, column: str, parameter: str, value: Any) -> float:
    if not isinstance(value, (int, float, np.number)) or not math.isfinite(value):
        raise _unsupported(operator, column, parameter, value)
    return float(value)


def _unsupported(operator: str, column: str, parameter: str, value: Any) -> UnsupportedOperator:
    return UnsupportedOperator.in_workflow(
        f"{operator}({parameter}={value!r})", [column], SUPPORTED
    )
