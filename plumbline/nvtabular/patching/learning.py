"""Learning of patched operators: the plan's own accumulators, filled partition by partition.

They compute on the host, so what is learned is the same on every device: columns of cuDF frames are
copied there. Rows are encoded on the device. Statistics by key are learned in pieces
(`plumbline.nvtabular.patching.by_key`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from plumbline.features.steps.fit_step import Accumulator, FitStep
from plumbline.features.steps.value_types import ValueType
from plumbline.nvtabular.patching.columns import host_numbers
from plumbline.nvtabular.patching.reductions import reduced

Steps = Mapping[str, FitStep[Any]]

_NUMBER = (ValueType("number"),)


def learned(frame: Any, steps: Steps) -> Any:
    """A delayed dict: for each column of numbers, the accumulator of its step."""
    return reduced(frame, partial(_learned_from, steps), partial(_merged, steps))


def _learned_from(steps: Steps, number: int, frame: Any) -> dict[str, Accumulator]:
    result = {}
    for name, step in steps.items():
        result[name] = step.accumulator(_NUMBER)
        result[name].add(number, [host_numbers(frame[name])])
    return result


def _merged(steps: Steps, parts: list[dict[str, Accumulator]]) -> dict[str, Accumulator]:
    """Merge into new accumulators, because Dask may pass the parts to another task too."""
    merged = {name: step.accumulator(_NUMBER) for name, step in steps.items()}
    for part in parts:
        for name, accumulated in part.items():
            merged[name].merge(accumulated)
    return merged
