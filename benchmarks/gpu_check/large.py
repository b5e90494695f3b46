"""Arrays of more than 2³² items: the last rows equal the same rows alone, to the bit.

Legend: B rows, F embeddings of a row, D their length, R rows of the table.
"""

from __future__ import annotations

from unittest import SkipTest

import torch
from torch import Tensor

from benchmarks.gpu_check.place import Place
from benchmarks.gpu_check.report import Report
from plumbline.dlrm.ops.embedding.contract import IdColumns, RowStep
from plumbline.dlrm.ops.interaction.width import interaction_width

ITEMS, SMALL_ITEMS = 1 << 32, 1 << 10
DIM = 32
NEAR = 3
"""Rows compared at each end."""
BYTES = 64 << 30
"""Device memory of the largest of these checks."""


def check(place: Place, report: Report) -> None:
    """Skipped on a device with too little memory."""
    if not place.is_small:
        free = torch.cuda.mem_get_info()[0]
        if free < BYTES:
            raise SkipTest(f"wants {BYTES >> 30} GiB of device memory, {free >> 30} GiB are free")
    items = SMALL_ITEMS if place.is_small else ITEMS
    for part in (_interaction, _far_rows, _large_result, _many_gradients):
        part(place, items)
        report.checked()
        if not place.is_emulated:
            torch.cuda.empty_cache()


def _interaction(place: Place, items: int) -> None:
    """Every array of forward and backward has more items."""
    rows = items // DIM + NEAR
    dense_BD, embeddings_BFD = _draw(place, rows, DIM), _draw(place, rows, 1, DIM)
    out_BK = torch.empty(
        rows, interaction_width(1, DIM, True), dtype=torch.bfloat16, device=place.device
    )
    place.interaction().forward(dense_BD, embeddings_BFD, out_BK)
    for end in _ends():
        alone_BK = torch.empty_like(out_BK[end])
        place.interaction().forward(dense_BD[end], embeddings_BFD[end], alone_BK)
        assert torch.equal(out_BK[end], alone_BK), "the interaction's far rows differ"
    dense, embeddings = torch.empty_like(dense_BD), torch.empty_like(embeddings_BFD)
    place.interaction().backward(out_BK, dense_BD, embeddings_BFD, dense, embeddings)
    for end in _ends():
        alone = torch.empty_like(dense[end]), torch.empty_like(embeddings[end])
        place.interaction().backward(out_BK[end], dense_BD[end], embeddings_BFD[end], *alone)
        for got, wanted in zip((dense[end], embeddings[end]), alone, strict=True):
            assert torch.equal(got, wanted), "the gradients' far rows differ"


def _far_rows(place: Place, items: int) -> None:
    """Look-up and step of the last rows of a table that has more items."""
    table_rows = items // DIM + NEAR
    weight_RD = _draw(place, table_rows, DIM)
    ids_BF = torch.arange(table_rows - NEAR, table_rows, device=place.device).unsqueeze(1)
    before_BD = weight_RD[-NEAR:].clone()
    out_BVD = torch.empty(NEAR, 1, DIM, dtype=torch.bfloat16, device=place.device)
    place.embedding().gather(weight_RD, _columns(ids_BF, table_rows), out_BVD)
    assert torch.equal(out_BVD[:, 0], before_BD), "a look-up of a far row is wrong"
    gradient_BVD = torch.full((NEAR, 1, DIM), 256.0, device=place.device)
    _update(place, weight_RD, ids_BF, gradient_BVD)
    got_BD = weight_RD[-NEAR:].float()
    # A step of 256 leaves bfloat16 a spacing of at most 2.
    assert bool(((got_BD - (before_BD.float() - 256)).abs() <= 2).all()), (
        "a far row's step is wrong"
    )


def _large_result(place: Place, items: int) -> None:
    """The looked-up vectors have more items."""
    rows, table_rows = items // DIM + NEAR, 1000
    weight_RD = _draw(place, table_rows, DIM)
    ids_BF = (torch.arange(rows, device=place.device) * 7 % table_rows).unsqueeze(1)
    out_BVD = torch.empty(rows, 1, DIM, dtype=torch.bfloat16, device=place.device)
    place.embedding().gather(weight_RD, _columns(ids_BF, table_rows), out_BVD)
    for end in _ends():
        assert torch.equal(out_BVD[end, 0], weight_RD[ids_BF[end, 0]]), "a far look-up is wrong"


def _many_gradients(place: Place, items: int) -> None:
    """A step from gradients with more items, which are all 1: a row falls by its count."""
    rows, table_rows = items // DIM + NEAR, 1000
    weight_RD = torch.zeros(table_rows, DIM, device=place.device)
    ids_BF = (torch.arange(rows, device=place.device) * 7 % table_rows).unsqueeze(1)
    gradient_BVD = torch.ones(rows, 1, DIM, dtype=torch.bfloat16, device=place.device)
    _update(place, weight_RD, ids_BF, gradient_BVD)
    count_R = torch.bincount(ids_BF[:, 0], minlength=table_rows)
    assert torch.equal(weight_RD, -count_R.float().unsqueeze(1).expand(-1, DIM)), "a sum is wrong"


def _draw(place: Place, *shape: int) -> Tensor:
    """Integers of -8 to 8, whose sums and products are exact."""
    drawn = torch.empty(shape, dtype=torch.bfloat16, device=place.device)
    return drawn.random_(-8, 9)


def _ends() -> tuple[slice, slice]:
    return slice(0, NEAR), slice(-NEAR, None)


def _columns(ids_BF: Tensor, table_rows: int) -> IdColumns:
    first, cardinality = (torch.tensor([n], device=ids_BF.device) for n in (0, table_rows))
    return IdColumns(ids_BF, first, cardinality, first, (), "sum")


def _update(place: Place, weight_RD: Tensor, ids_BF: Tensor, gradient_BVD: Tensor) -> None:
    step = RowStep(learning_rate=1.0, eps=1e-8, scale=1.0, k0=1, k1=2)
    columns = _columns(ids_BF, len(weight_RD))
    place.embedding().update(weight_RD, None, columns, gradient_BVD, step)
