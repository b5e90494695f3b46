"""Models, batches and trainers that several parts use."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch

from plumbline.base.device import Device
from plumbline.dlrm.data.loader import Batch
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.ops.dtypes import Precision
from plumbline.dlrm.train.fused_trainer import FusedTrainer
from plumbline.dlrm.train.training_plan import planned
from plumbline.settings import Training

CONTINUOUS = 13


def architecture(
    cardinalities: Sequence[int],
    dim: int,
    bottom: Sequence[int],
    top: Sequence[int],
    lists: int = 0,
) -> Architecture:
    """A DLRM of id columns C0, C1, …, of which the last `lists` have lists of ids, averaged."""
    names = tuple(f"C{number}" for number in range(len(cardinalities)))
    return Architecture(
        categorical=names,
        cardinalities=tuple(cardinalities),
        continuous=tuple(f"I{number}" for number in range(CONTINUOUS)),
        embedding_dim=dim,
        bottom_mlp=(*bottom, dim),
        top_mlp=tuple(top),
        bags=names[len(names) - lists :],
    )


def draw_batch(model: Architecture, rows: int, seed: int, device: Device) -> Batch:
    """A batch whose clicks depend on its first id and its first number."""
    generator = torch.Generator().manual_seed(seed)
    drawn = {
        name: torch.randint(size, (rows,), generator=generator)
        for name, size in zip(model.categorical, model.cardinalities, strict=True)
    }
    dense_BC = torch.randn(rows, CONTINUOUS, generator=generator)
    first_B = drawn[model.categorical[0]]
    click_B = ((first_B % 2) * 2 - 1 + dense_BC[:, 0] > 0).float()
    sizes = dict(zip(model.categorical, model.cardinalities, strict=True))
    bags = []
    for name in model.bags:
        length_B = torch.randint(4, (rows,), generator=generator).tolist()
        offsets_B1 = torch.tensor([0, *accumulate(length_B)])
        ids_N = torch.randint(sizes[name], (sum(length_B),), generator=generator)
        bags.append((ids_N.to(device), offsets_B1.to(device)))
    ids_BF = torch.stack([drawn[name] for name in model.single], dim=1)
    return Batch(ids_BF.to(device), dense_BC.to(device), click_B.to(device), tuple(bags))


def make_trainer(model: Architecture, precision: Precision, device: Device) -> FusedTrainer:
    """With default settings, but rows as large as training makes them, so that they matter."""
    settings = Training(precision=precision, embedding_deviation=0.3)
    training = planned(settings, rows=1_000_000)
    return FusedTrainer(model, training, seed=1, device=device)
