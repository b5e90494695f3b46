"""The work of every side of the training benchmark: a DLRM's shape, initial weights and rows.

The two models are the usual ones for Criteo's logs. The tables of both have the sizes of Criteo's
1 TB log with frequency threshold 15, as in NVIDIA's DLRM example: 32.7 million rows. Ids are drawn
by Zipf's law (the k-th has a probability of about 1/k), and frequent ids are small, as in an
encoded log.

Legend: B rows, R rows of a table, D embedding length.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from benchmarks.criteo_rows import CATEGORICAL, CONTINUOUS
from plumbline.columns.kinds import CLICK
from plumbline.dlrm.model.architecture import Architecture

CARDINALITIES = (
    7_912_889, 33_823, 17_139, 7339, 20_046, 4, 7105, 1382, 63, 5_554_114, 582_469, 245_828, 11,
    2209, 10_667, 104, 4, 968, 15, 8_165_896, 2_675_940, 7_156_453, 302_516, 12_022, 97, 35,
)  # fmt: skip
LEARNING_RATE = 0.1
"""Learning rate of plain SGD on all parameters, on every side."""

PERIOD = 8191
"""Rows after which a table's values repeat; drawing all of them would take longer than training."""


@dataclass(frozen=True, slots=True)
class Work:
    """Steps of one model over encoded rows, each row once; the warm-up steps are not timed."""

    architecture: Architecture
    batch_size: int
    warm_up: int
    steps: int

    @property
    def rows(self) -> int:
        return (self.warm_up + self.steps) * self.batch_size

    def write(self, file: Path) -> None:
        content = {name: getattr(self, name) for name in ("batch_size", "warm_up", "steps")}
        content["architecture"] = self.architecture.to_json()
        file.write_text(json.dumps(content), encoding="utf-8")

    @classmethod
    def read(cls, file: Path) -> Work:
        content = json.loads(file.read_text(encoding="utf-8"))
        architecture = Architecture.from_json(content.pop("architecture"), file.name)
        return cls(architecture, **content)


def article(cardinalities: Sequence[int]) -> Architecture:
    """The model of NVIDIA's DLRM article."""
    return _criteo(cardinalities, 128, (512, 256, 128), (1024, 1024, 512, 256))


def kaggle(cardinalities: Sequence[int]) -> Architecture:
    """The usual model for the log of Criteo's challenge."""
    return _criteo(cardinalities, 16, (512, 256, 64, 16), (512, 256))


def _criteo(
    cardinalities: Sequence[int], dim: int, bottom: tuple[int, ...], top: tuple[int, ...]
) -> Architecture:
    return Architecture(
        categorical=tuple(CATEGORICAL),
        cardinalities=tuple(cardinalities),
        continuous=tuple(CONTINUOUS),
        embedding_dim=dim,
        bottom_mlp=bottom,
        top_mlp=top,
    )


def write_rows(file: Path, architecture: Architecture, rows: int, seed: int = 1) -> None:
    """Encoded rows as the ETL writes them: ids int32, floats float32, the click int8."""
    generator = np.random.default_rng(seed)
    columns = {}
    for name, cardinality in zip(architecture.categorical, architecture.cardinalities, strict=True):
        id_B = np.floor(cardinality ** generator.random(rows))  # from 1 on: 0 is padding
        columns[name] = pl.Series(np.minimum(id_B, cardinality - 1).astype(np.int32))
    for name in architecture.continuous:
        columns[name] = pl.Series(generator.standard_normal(rows, dtype=np.float32))
    columns[CLICK] = pl.Series(generator.random(rows) < 0.25).cast(pl.Int8)
    frame = pl.DataFrame(columns)
    frame.write_parquet(file, compression="zstd", compression_level=1, statistics=False)


def set_first_weights(
    architecture: Architecture, layers: nn.Module, tables: Iterable[Tensor]
) -> None:
    """Set the common initial weights of all sides: W, b ~ U(±1/√in), rows ~ N(0, 0.01²).

    Parameters
    ----------
    layers
        Contains the linear layers of the bottom MLP, of the top MLP, and the last one, in order.
    tables
        rows_RD of each column in plan order; written in place.
    """
    generator = torch.Generator().manual_seed(1)
    linear = [module for module in layers.modules() if isinstance(module, nn.Linear)]
    with torch.no_grad():
        for layer, (before, after) in zip(linear, layer_widths(architecture), strict=True):
            for parameter, shape in ((layer.weight, (after, before)), (layer.bias, (after,))):
                bound = before**-0.5
                drawn = torch.empty(shape).uniform_(-bound, bound, generator=generator)
                parameter.copy_(drawn)
        first_row = 0
        for rows_RD in tables:
            fill_rows(rows_RD, 0.01, seed=2, first_row=first_row)
            first_row += len(rows_RD)


def layer_widths(architecture: Architecture) -> list[tuple[int, int]]:
    """Width before and after each linear layer: bottom MLP, top MLP, the last one."""
    bottom = (len(architecture.continuous), *architecture.bottom_mlp)
    top = (architecture.top_input, *architecture.top_mlp, 1)
    return [*pairwise(bottom), *pairwise(top)]


def fill_rows(rows_RD: Tensor, deviation: float, seed: int, first_row: int = 0) -> None:
    """Rows ~ N(0, deviation²); row r of all tables is row r % PERIOD of one drawn block."""
    generator = torch.Generator().manual_seed(seed)
    block = torch.empty(PERIOD, rows_RD.shape[1]).normal_(0.0, deviation, generator=generator)
    block = block.roll(-first_row, 0)
    for part_RD in rows_RD.split(PERIOD):
        part_RD.copy_(block[: len(part_RD)])
