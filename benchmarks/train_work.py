"""What every side of the training benchmark is given: a DLRM's shape, its first weights, its rows.

The two models are those that are reported on Criteo's logs. The tables of both have the sizes of
Criteo's 1 TB log with frequency threshold 15, as NVIDIA's DLRM example gives them: 32.7 million
rows. An id is drawn by Zipf's law (the k-th has a chance of about 1/k), and as in an encoded log
frequent ids are small.

Legend: B rows, R rows of a table, D embedding length.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from benchmarks.criteo_rows import CATEGORICAL, CONTINUOUS
from dlrm.architecture import Architecture
from features.columns import CLICK

CARDINALITIES = (
    7_912_889, 33_823, 17_139, 7339, 20_046, 4, 7105, 1382, 63, 5_554_114, 582_469, 245_828, 11,
    2209, 10_667, 104, 4, 968, 15, 8_165_896, 2_675_940, 7_156_453, 302_516, 12_022, 97, 35,
)  # fmt: skip
QUICK_CARDINALITY = 1000
"""No table is larger in a quick run."""

LEARNING_RATE = 0.01
"""Of plain SGD on all parameters, on every side."""

PERIOD = 8191
"""Rows of a table after which its first values repeat: so they are written at memory speed."""


@dataclass(frozen=True, slots=True)
class Work:
    """Steps of one model on files of encoded rows; the first `warm_up` steps are not timed."""

    architecture: Architecture
    batch_size: int
    warm_up: int
    steps: int

    @property
    def rows(self) -> int:
        return (self.warm_up + self.steps) * self.batch_size


def article(cardinalities: tuple[int, ...] = CARDINALITIES) -> Architecture:
    """The model of NVIDIA's DLRM article."""
    return _architecture(cardinalities, 128, (512, 256, 128), (1024, 1024, 512, 256))


def kaggle(cardinalities: tuple[int, ...] = CARDINALITIES) -> Architecture:
    """The model that is usual on the log of Criteo's challenge."""
    return _architecture(cardinalities, 16, (512, 256, 64, 16), (512, 256))


def _architecture(
    cardinalities: tuple[int, ...], dim: int, bottom: tuple[int, ...], top: tuple[int, ...]
) -> Architecture:
    return Architecture(
        categorical=tuple(CATEGORICAL),
        cardinalities=cardinalities,
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
        id_B = np.floor(cardinality ** generator.random(rows)).astype(np.int32)
        columns[name] = pl.Series(np.minimum(id_B, cardinality - 1))
    for name in architecture.continuous:
        columns[name] = pl.Series(generator.standard_normal(rows, dtype=np.float32))
    columns[CLICK] = pl.Series(generator.random(rows) < 0.25).cast(pl.Int8)
    frame = pl.DataFrame(columns)
    frame.write_parquet(file, compression="zstd", compression_level=1, statistics=False)


def set_first_weights(architecture: Architecture, layers: nn.Module, rows_RD: list[Tensor]) -> None:
    """Give a side the weights that all sides begin with.

    Parameters
    ----------
    layers
        Its linear layers are named `bottom.0`, `bottom.2`, …, `top.0`, …, `last`.
    rows_RD
        The tables in plan order, in one dtype; they are written in place.
    """
    with torch.no_grad():
        for name, weights in first_layers(architecture).items():
            layers.get_parameter(name).copy_(weights)
        first_row = 0
        for table_RD in rows_RD:
            _fill(table_RD, first_row)
            first_row += len(table_RD)


def first_layers(architecture: Architecture) -> Mapping[str, Tensor]:
    """Parameters of the linear layers: W, b ~ U(±1/√in)."""
    generator = torch.Generator().manual_seed(1)
    layers = {}
    for name, (before, after) in layer_widths(architecture):
        bound = before**-0.5
        for part, shape in (("weight", (after, before)), ("bias", (after,))):
            values = torch.empty(shape).uniform_(-bound, bound, generator=generator)
            layers[f"{name}.{part}"] = values
    return layers


def layer_widths(architecture: Architecture) -> Iterator[tuple[str, tuple[int, int]]]:
    """Each linear layer's name, and its width before and after."""
    stacks = {
        "bottom": (len(architecture.continuous), *architecture.bottom_mlp),
        "top": (architecture.top_input, *architecture.top_mlp),
    }
    for stack, widths in stacks.items():
        for position, pair in enumerate(zip(widths, widths[1:], strict=False)):
            yield f"{stack}.{2 * position}", pair
    yield "last", (stacks["top"][-1], 1)


def _fill(table_RD: Tensor, first_row: int) -> None:
    """Row r of all tables together has the values of row r % PERIOD of one drawn block."""
    generator = torch.Generator().manual_seed(2)
    block = torch.empty(PERIOD, table_RD.shape[1]).normal_(0.0, 0.01, generator=generator)
    block = block.to(table_RD.dtype).roll(-first_row, 0)
    for start in range(0, len(table_RD), PERIOD):
        rows_RD = table_RD[start : start + PERIOD]
        rows_RD.copy_(block[: len(rows_RD)])
