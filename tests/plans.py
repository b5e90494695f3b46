"""Fitted plans made by hand, for tests that need no engine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from plumbline.features.operators.categorify import Categorify
from plumbline.features.plan.plan import InputColumn, OutputColumn, Plan, output_column, write_plan
from plumbline.features.steps.chains import Chain


def categorify(
    folder: Path, name: str, values: pa.Array | Sequence[Any], num_buckets: int = 1
) -> Categorify:
    """A vocabulary of these values in this order, in the plan folder; each was seen once."""
    array = values if isinstance(values, pa.Array) else pa.array(values)
    return Categorify.written(
        folder,
        name,
        [array],
        np.ones(len(array), np.int64),
        frequency_threshold=0,
        limit=None,
        num_buckets=num_buckets,
        sources=[name],
    )


def column(inputs: tuple[InputColumn, ...], name: str, source: str, *steps: Any) -> OutputColumn:
    """An output of one raw column."""
    return output_column(name, Chain((source,), steps), inputs)


def plan_of(folder: Path, kinds: dict[str, Any], **outputs: tuple[Any, ...]) -> Plan:
    """A plan whose outputs are named `<name>=(source, step, step, …)`, written into `folder`."""
    inputs = tuple(InputColumn(name, kind) for name, kind in kinds.items())
    columns = tuple(column(inputs, name, *steps) for name, steps in outputs.items())
    return write_plan(folder, inputs, columns)
