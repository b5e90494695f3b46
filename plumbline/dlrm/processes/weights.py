"""The weights that a process holds of a sharded model, and their average.

Legend: R rows of all tables, D embedding length.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from plumbline.dlrm.processes.shared_file import Part, Parted
from plumbline.dlrm.train.averaging import between, newest_share

ROWS = "tables.weight"
"""Name of all tables' rows in the stored model."""


@dataclass(frozen=True, slots=True)
class Weights:
    """`rows_RD` in part, and the layers, which every process holds, by their names."""

    rows_RD: Parted
    layers: Mapping[str, Tensor]

    def tensors(self) -> Iterator[Tensor]:
        """The memory of all weights, in an order that copies share."""
        yield from (part.values for part in self.rows_RD.parts)
        yield from (layer.detach() for layer in self.layers.values())

    def copy(self) -> Weights:
        parts = tuple(Part(part.first, part.values.clone()) for part in self.rows_RD.parts)
        layers = {name: layer.detach().clone() for name, layer in self.layers.items()}
        return Weights(Parted(self.rows_RD.shape, parts), layers)

    def parted(self, prefix: str) -> dict[str, Parted]:
        """What is written in parts, by its name in a file."""
        return {prefix + ROWS: self.rows_RD}

    def whole(self, prefix: str) -> dict[str, Tensor]:
        """What is the same in every process, by its name in a file."""
        return {prefix + name: layer.detach() for name, layer in self.layers.items()}

    @torch.no_grad()
    def load_layers(self, state: Mapping[str, Tensor]) -> None:
        for name, layer in self.layers.items():
            layer.copy_(state[name])


class Average:
    """The mean of the weights over the last steps: see `plumbline.dlrm.train.averaging`.

    Its numbers are those of `AveragedTrainer`, so either goes on from the other's checkpoint.
    """

    def __init__(self, live: Weights, epoch_steps: int) -> None:
        self._live = live
        self._between = between(epoch_steps)
        self.mean = live.copy()
        self.steps = 0

    def restart(self) -> None:
        """Begin with the current weights."""
        for mean, live in self._pairs():
            mean.copy_(live)

    def count_step(self) -> None:
        """Update the mean, if it is time for it."""
        self.steps += 1
        if self.steps % self._between == 0:
            share = newest_share(self.steps // self._between - 1)
            for mean, live in self._pairs():
                mean.lerp_(live, share)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The model has the mean as its weights while the block runs."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def _exchange(self) -> None:
        for mean, live in self._pairs():
            kept = live.clone()
            live.copy_(mean)
            mean.copy_(kept)

    def _pairs(self) -> Iterator[tuple[Tensor, Tensor]]:
        return zip(self.mean.tensors(), self._live.tensors(), strict=True)
