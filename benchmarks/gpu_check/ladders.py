"""The kernels against their contracts: the ladders of tests/dlrm/kernels, and the operators."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import product

import torch

from benchmarks.gpu_check import scoring
from benchmarks.gpu_check.place import Place
from benchmarks.gpu_check.report import Report
from plumbline.dlrm.ops.embedding.contract import IdOutOfRange
from plumbline.dlrm.ops.embedding.cuda import CudaEmbedding
from plumbline.dlrm.ops.embedding.faults import IdFaults
from plumbline.dlrm.ops.embedding.operator import embedding
from plumbline.dlrm.ops.interaction.cuda import Form
from plumbline.dlrm.ops.interaction.operator import interaction
from tests.dlrm.kernels import ladder_embedding, ladder_interaction

SMALL_SHAPES = ((26, 128), (5, 37), (1, 8))
"""Features and length: on tensor cores, with a length that is not aligned, and the least."""
MANY_ROWS, MANY_ROWS_SHAPES = 20_001, ((5, 16), (26, 128))
"""More rows than the warps of any device: each takes several."""

Check = Callable[[Place], None]


def check(place: Place, report: Report) -> None:
    """Climb every rung; the first that fails ends the part with its name."""
    for name, climb in rungs(place.is_small):
        try:
            climb(place)
        except Exception as error:
            raise AssertionError(f"{name}: {error}") from error
        report.checked()


def rungs(is_small: bool) -> Iterator[tuple[str, Check]]:
    """Name and check of each rung."""
    for form, dtype, has_dense in product(Form, ladder_interaction.DTYPES, (True, False)):
        dense = "with" if has_dense else "without"
        name = f"interaction, {form.name}, {dtype}, {dense} a dense vector"
        shapes = SMALL_SHAPES if is_small else ladder_interaction.shapes(has_dense)
        for rows in (3,) if is_small else (0, 1, 5, MANY_ROWS):
            chosen = MANY_ROWS_SHAPES if rows == MANY_ROWS else shapes
            yield (
                f"{name}, {rows} rows",
                partial(_interaction, form, rows, chosen, has_dense, dtype),
            )
        yield f"{name}, rows apart", partial(_rows_apart, form, has_dense, dtype)
    shapes = ladder_embedding.SHAPES
    for shape in shapes[1:3] if is_small else shapes:
        for row_dtype, dtype in product(ladder_embedding.ROW_DTYPES, ladder_embedding.DTYPES):
            name = f"embedding, {shape}, rows {row_dtype}, result {dtype}"
            yield name, partial(_embedding, shape, row_dtype, dtype)
    for row_dtype in ladder_embedding.ROW_DTYPES:
        yield f"wrong ids and offsets, rows {row_dtype}", partial(_wrong, row_dtype)
        yield f"wrong ids that are noted, rows {row_dtype}", partial(_noted, row_dtype)
        yield f"repeated updates, rows {row_dtype}", partial(_repeated, row_dtype)
        yield f"look-ups without waiting, rows {row_dtype}", partial(_without_waiting, row_dtype)
        for dim in (16, 37):
            name = f"rows with very many occurrences, {row_dtype}, length {dim}"
            yield name, partial(_many_occurrences, row_dtype, dim)
    for precision in scoring.TOLERANCES:
        yield f"scoring in {precision}", partial(scoring.climb, precision)
    yield "operator interaction", _interaction_operator
    yield "operator embedding", _embedding_operator


def _interaction(
    form: Form,
    rows: int,
    shapes: Sequence[tuple[int, int]],
    has_dense: bool,
    dtype: torch.dtype,
    place: Place,
) -> None:
    for (features, dim), shift in product(shapes, (0, 1)):
        for direction in (ladder_interaction.check_forward, ladder_interaction.check_backward):
            case = rows, features, dim, has_dense, dtype, place.device
            direction(place.interaction(form), *case, shift=shift)


def _rows_apart(form: Form, has_dense: bool, dtype: torch.dtype, place: Place) -> None:
    case = 6, 26, 16 if place.is_small else 128, has_dense, dtype, place.device
    ladder_interaction.check_rows_are_apart(place.interaction(form), *case)


def _embedding(
    shape: ladder_embedding.Shape, row_dtype: torch.dtype, dtype: torch.dtype, place: Place
) -> None:
    for number, pooling in enumerate(ladder_embedding.POOLINGS):
        case = ladder_embedding.draw(shape, row_dtype, dtype, pooling, device=place.device)
        ladder_embedding.check_look_up(place.embedding(), case, dtype)
        ladder_embedding.check_update(place.embedding(), case, adagrad=number < 2, scale=0.5)


def _wrong(row_dtype: torch.dtype, place: Place) -> None:
    ladder_embedding.check_bad_ids(place.embedding(), row_dtype, place.device)
    ladder_embedding.check_bad_offsets(place.embedding(), row_dtype, place.device)


def _noted(row_dtype: torch.dtype, place: Place) -> None:
    """From the first wrong id on, updates that note it change nothing and raise nothing."""
    shape = ladder_embedding.Shape((5, 9), (False, True), rows=11, dim=8)
    case = ladder_embedding.draw(shape, row_dtype, device=place.device)
    faults = IdFaults(case.weight_RD.device)
    kernels = CudaEmbedding(place.library, waits=False, faults=faults)
    before = case.buffer.clone()
    ids_BF = case.columns.ids_BF.clone()
    ids_BF[6, 0] = -1
    wrong = replace(case, columns=replace(case.columns, ids_BF=ids_BF))
    for each in (wrong, case):
        ladder_embedding.update(kernels, each, adagrad=True)
        assert torch.equal(case.buffer, before), "an update after a wrong id changed rows"
    with ladder_embedding.RAISES(IdOutOfRange, "column 0, row 6: .*, got -1"):
        faults.raise_first()


def _repeated(row_dtype: torch.dtype, place: Place) -> None:
    rows = 300 if place.is_small else 20_000
    shape = ladder_embedding.Shape((2, 900, 5), (False, False, True), rows, dim=8, longest=3)
    ladder_embedding.check_repeatable(place.embedding(), shape, row_dtype, place.device)


def _many_occurrences(row_dtype: torch.dtype, dim: int, place: Place) -> None:
    shape = ladder_embedding.Shape((1, 3, 900), (False,) * 3, 1200 if place.is_small else 3000, dim)
    case = ladder_embedding.draw(shape, row_dtype, device=place.device)
    ladder_embedding.check_update(place.embedding(), case, adagrad=True)


def _without_waiting(row_dtype: torch.dtype, place: Place) -> None:
    """An id without a row changes no other vector, and nothing raises."""
    shape = ladder_embedding.Shape((5, 9), (False, False), rows=4, dim=8)
    case = ladder_embedding.draw(shape, row_dtype, device=place.device)
    wanted_BVD, out_BVD = (torch.empty(4, 2, 8, device=place.device) for _ in range(2))
    ladder_embedding.look_up(place.embedding(), case, wanted_BVD)
    ids_BF = case.columns.ids_BF.clone()
    ids_BF[2, 0] = 5
    wrong = replace(case, columns=replace(case.columns, ids_BF=ids_BF))
    ladder_embedding.look_up(place.embedding(waits=False), wrong, out_BVD)
    out_BVD[2, 0] = wanted_BVD[2, 0]
    assert torch.equal(out_BVD, wanted_BVD), "a wrong id changed the vector of another"


def _interaction_operator(place: Place) -> None:
    """Schema, fake kernel and gradients, as torch checks them."""
    draw = partial(torch.randn, device=place.device, dtype=torch.float32)
    inputs = draw(5, 8, requires_grad=True), draw(5, 3, 8, requires_grad=True)
    with place.operators():
        torch.library.opcheck(interaction, inputs)


def _embedding_operator(place: Place) -> None:
    shape = ladder_embedding.Shape((5, 9), (False, False), rows=4, dim=8)
    case = ladder_embedding.draw(shape, torch.float32, device=place.device)
    columns = case.columns
    arguments = (
        case.weight_RD,
        columns.ids_BF,
        columns.first_row_F,
        columns.cardinality_F,
        columns.position_F,
        *([] for _ in range(6)),
        columns.pooling,
        torch.bfloat16,
    )
    with place.operators():
        torch.library.opcheck(embedding, arguments)
