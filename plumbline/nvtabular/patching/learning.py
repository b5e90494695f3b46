"""Learning of patched operators: the plan's own accumulators, filled partition by partition.

They compute on the host, so what is learned is the same on every device: columns of cuDF frames are
copied there. Rows are encoded on the device.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from plumbline.columns.values import Text, Values
from plumbline.features.steps.fit_step import FitStep
from plumbline.features.steps.value_types import ValueType
from plumbline.nvtabular.patching.columns import host_numbers, key_values
from plumbline.nvtabular.patching.reductions import reduced

K = TypeVar("K", bound=Hashable)

Add = Callable[[Any, int, Sequence[Values]], None]
"""Adds the values of a partition, which has this number, to an accumulator."""


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


def add_chunk(accumulated: Any, number: int, values: Sequence[Values]) -> None:
    """A partition is a chunk."""
    accumulated.add(number, values)


def learned(frame: Any, reads: Mapping[K, Reads], add: Add = add_chunk) -> Any:
    """A delayed dict: for each entry of `reads`, what is `Learned` from a Dask frame."""
    return reduced(frame, partial(_learned_from, reads, add), partial(_merged, reads))


def _learned_from(reads: Mapping[K, Reads], add: Add, number: int, frame: Any) -> dict[K, Learned]:
    result = {}
    for name, read in reads.items():
        keys = [key_values(frame[key]) for key in read.keys]
        types = tuple(ValueType("text" if isinstance(k, Text) else "integer") for k in keys)
        accumulated = read.step.accumulator(types)
        add(accumulated, number, [*keys, *(host_numbers(frame[one]) for one in read.numbers)])
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
