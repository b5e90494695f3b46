"""Learning of patched operators: the plan's own accumulators, filled partition by partition.

They compute on the host, so what is learned is the same on every device: columns of cuDF frames are
copied there. Rows are encoded on the device.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from plumbline.columns.values import Text
from plumbline.features.steps.fit_step import FitStep
from plumbline.features.steps.value_types import ValueType
from plumbline.nvtabular.patching.columns import host_numbers, key_values
from plumbline.nvtabular.patching.reductions import reduced

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Reads:
    """A step to fit, and the columns of a frame that it learns from: keys, then numbers."""

    step: FitStep[Any]
    keys: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Learned:
    """A filled accumulator, and the types of its keys."""

    accumulated: Any
    types: tuple[ValueType, ...]


def learned(frame: Any, reads: Mapping[K, Reads]) -> Any:
    """A delayed dict: for each entry of `reads`, what is `Learned` from a Dask frame."""
    return reduced(frame, partial(_learned_from, reads), partial(_merged, reads))


def _learned_from(reads: Mapping[K, Reads], frame: Any) -> dict[K, Learned]:
    result = {}
    for name, read in reads.items():
        keys = [key_values(frame[key]) for key in read.keys]
        types = tuple(ValueType("text" if isinstance(k, Text) else "integer") for k in keys)
        accumulated = read.step.accumulator(types)
        # Every partition is chunk 0, because Merlin does not pass the partition's number.
        accumulated.add(0, [*keys, *(host_numbers(frame[number]) for number in read.numbers)])
        result[name] = Learned(accumulated, types)
    return result


def _merged(reads: Mapping[K, Reads], parts: list[dict[K, Learned]]) -> dict[K, Learned]:
    """Merge into a new accumulator, because Dask may pass the parts to another task too."""
    merged = {}
    for name, read in reads.items():
        types = parts[0][name].types
        accumulated = read.step.accumulator(types)
        for part in parts:
            accumulated.merge(part[name].accumulated)
        merged[name] = Learned(accumulated, types)
    return merged
