"""What a patched operator learns: the plan's own accumulators, filled partition by partition.

They compute on the host. A frame of cuDF gives its columns away for that, so what is learned is the
same on every device; the rows themselves are encoded where they are.
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
    """A step to fit, and the columns of a frame that it learns from: keys first, then numbers."""

    step: FitStep[Any]
    keys: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Learned:
    """What was accumulated, and the types of the keys that it read."""

    accumulated: Any
    types: tuple[ValueType, ...]


def learned(frame: Any, reads: Mapping[K, Reads]) -> Any:
    """A delayed result of a Dask frame: for each of `reads` what is `Learned` of all partitions."""
    return reduced(frame, partial(_of_partition, reads), partial(_merged, reads))


def _of_partition(reads: Mapping[K, Reads], frame: Any) -> dict[K, Learned]:
    found = {}
    for name, read in reads.items():
        keys = [key_values(frame[key]) for key in read.keys]
        types = tuple(ValueType("text" if isinstance(k, Text) else "integer") for k in keys)
        accumulated = read.step.accumulator(types)
        # Every partition is chunk 0: Merlin does not say which one a frame is.
        accumulated.add(0, [*keys, *(host_numbers(frame[number]) for number in read.numbers)])
        found[name] = Learned(accumulated, types)
    return found


def _merged(reads: Mapping[K, Reads], parts: list[dict[K, Learned]]) -> dict[K, Learned]:
    """A new accumulator: Dask may hand the parts to another task, too."""
    merged = {}
    for name, read in reads.items():
        types = parts[0][name].types
        accumulated = read.step.accumulator(types)
        for part in parts:
            accumulated.merge(part[name].accumulated)
        merged[name] = Learned(accumulated, types)
    return merged
