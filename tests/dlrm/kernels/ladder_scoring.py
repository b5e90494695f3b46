"""Models and rows for scoring, and their expected probabilities.

Legend: B rows, F columns with one id a row, C continuous columns, V id columns in all, D embedding
length, I inputs and O outputs of a layer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from plumbline.columns.values import Lists, offsets_of
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.model.dlrm import DLRM
from plumbline.dlrm.ops.interaction.reference import interaction_reference
from plumbline.dlrm.ops.scoring.precision import ScoringPrecision
from tests.dlrm.kernels.tried_sets import tried_sets

SETS = ("plain", "avx2", "emulatedamx", "avx512", "avx512bf16", "amx")
FEW = ("usual", "lists too", "wide", "no id column")
"""Names of architectures for tests that take long."""


def is_supported(instruction_set: str) -> bool:
    return instruction_set in tried_sets()


def supported(instruction_set: str) -> str:
    """The set itself; skips the test if this machine does not have it."""
    if not is_supported(instruction_set):
        pytest.skip(f"no {instruction_set} kernels here")
    return instruction_set


def architecture(
    singles: int = 0,
    lists: int = 0,
    continuous: int = 0,
    dim: int = 8,
    bottom: tuple[int, ...] = (),
    top: tuple[int, ...] = (),
    bag: str = "mean",
    rows: str = "fp32",
) -> Architecture:
    """Alternating columns with one id and with lists; the bottom layers end in `dim`."""
    names = [f"C{index}" for index in range(singles)] + [f"L{index}" for index in range(lists)]
    names = names[::2] + names[1::2]
    return Architecture(
        categorical=tuple(names),
        cardinalities=tuple(5 + 3 * index for index in range(len(names))),
        continuous=tuple(f"I{index}" for index in range(continuous)),
        embedding_dim=dim,
        bottom_mlp=(*bottom, dim) if continuous else (),
        top_mlp=top,
        bags=tuple(name for name in names if name.startswith("L")),
        bag=bag,
        bag_positions=3 if bag == "position_weighted" else None,
        embedding_rows=rows,
    )


ARCHITECTURES = {
    "usual": architecture(6, 0, 3, 16, (40, 24), (70, 33)),
    "lists too": architecture(4, 3, 5, 8, (17,), (20,), bag="sum", rows="bf16"),
    "lists alone": architecture(0, 2, 0, 5, (), (9, 7), bag="max"),
    "weighted lists": architecture(1, 2, 2, 6, (), (9,), bag="position_weighted", rows="bf16"),
    "one column": architecture(1, 0, 1, 3, (), ()),
    "two columns, nothing else": architecture(2, 0, 0, 1),
    "no id column": architecture(0, 0, 4, 7, (19,), (6,)),
    "wide": architecture(9, 1, 2, 33, (130,), (200, 64, 1), rows="bf16"),
    "many columns": architecture(29, 0, 1, 12, (16,), (48,)),
}


@dataclass(frozen=True)
class Rows:
    """Encoded rows of a model."""

    ids_BF: NDArray[np.int64]
    dense_BC: NDArray[np.float32]
    bags: tuple[Lists, ...]

    def take(self, rows: NDArray[np.int64]) -> Rows:
        return Rows(
            self.ids_BF[rows], self.dense_BC[rows], tuple(bag.take(rows) for bag in self.bags)
        )


def model_of(of: Architecture, seed: int = 1) -> DLRM:
    """A model with embeddings large enough for their dots to matter."""
    model = DLRM(of, seed)
    model.tables.weight.mul_(30.0)
    with torch.no_grad():
        for weights_P in model.tables.position_weights:
            weights_P.copy_(torch.linspace(2.0, -0.5, len(weights_P)))
    return model


def arrays(model: DLRM) -> dict[str, NDArray[np.generic]]:
    """The model's tensors, bfloat16 as its bits."""
    return {
        name: (tensor.view(torch.uint16) if tensor.dtype == torch.bfloat16 else tensor).numpy()
        for name, tensor in model.state_dict().items()
    }


def draw(of: Architecture, rows: int, seed: int = 0) -> Rows:
    """Random rows; every fourth list is empty."""
    generator = np.random.default_rng(seed)
    sizes = dict(zip(of.categorical, of.cardinalities, strict=True))
    ids = [generator.integers(0, sizes[name], rows) for name in of.single]
    bags = []
    for name in of.bags:
        length_B = generator.integers(0, 6, rows) * (generator.integers(0, 4, rows) > 0)
        ids_N = generator.integers(0, sizes[name], int(length_B.sum()))
        bags.append(Lists(ids_N, offsets_of(length_B)))
    return Rows(
        np.stack(ids, 1) if ids else np.empty((rows, 0), np.int64),
        generator.normal(size=(rows, len(of.continuous))).astype(np.float32),
        tuple(bags),
    )


def expected(model: DLRM, rows: Rows, precision: ScoringPrecision) -> NDArray[np.float64]:
    """probability_B in float64; for bf16, rounded where the model's layers round."""
    bags = [(torch.from_numpy(bag.values), torch.from_numpy(bag.offsets)) for bag in rows.bags]
    vector_BVD = model.tables(torch.from_numpy(rows.ids_BF), bags, torch.float32)
    vector_BVD = _rounded(vector_BVD, precision)
    hidden = _rounded(torch.from_numpy(rows.dense_BC), precision)
    for layer in model.bottom:
        hidden = _layer(layer, hidden, precision)
    if model.architecture.categorical:
        dense_BD = hidden if model.architecture.continuous else None
        hidden = _rounded(interaction_reference(dense_BD, vector_BVD), precision)
    for layer in model.top:
        hidden = _layer(layer, hidden, precision)
    last = model.last
    logit_B1 = hidden @ last.weight.double().T + last.bias.double()
    return torch.sigmoid(logit_B1.squeeze(1)).detach().numpy()


def _layer(layer: torch.nn.Linear, x_BI: Tensor, precision: ScoringPrecision) -> Tensor:
    weight_OI, bias_O = _rounded(layer.weight, precision), _rounded(layer.bias, precision)
    return _rounded((x_BI @ weight_OI.T + bias_O).relu(), precision)


def _rounded(values: Tensor, precision: ScoringPrecision) -> Tensor:
    return values.double() if precision == "fp32" else values.bfloat16().double()


def assert_equals(
    got: NDArray[np.float32], wanted: NDArray[np.float64], count: int, precision: ScoringPrecision
) -> None:
    """In bf16 a sum near the middle of two numbers may round to either, so a few rows differ."""
    assert got.dtype == np.float32
    assert got.shape == wanted.shape == (count,)
    if precision == "fp32":
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-6)
    elif count:
        assert np.median(np.abs(got - wanted)) < 1e-6
        np.testing.assert_allclose(got, wanted, rtol=0, atol=3e-3)
