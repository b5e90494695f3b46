"""The ladder of checks for every implementation of the embedding kernels, on any device.

Tables, gradients and ids are inside larger buffers. The surroundings of inputs are NaN or invalid
ids, which would show in the result. The surroundings of rows, state and results must stay intact,
as must every row that no id refers to. Look-ups of single ids must be exact; everything else is
compared with float64, with bounds scaled by the sums of absolute terms. The random bits of the
stochastic rounding must equal those of the NumPy version in this file.

Legend: B rows, F columns with one id a row, V id columns in all, N ids of a list column, R rows of
all tables, U distinct rows of a column's ids, D embedding length.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any
from unittest import TestCase

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plumbline.dlrm.ops.embedding.contract import (
    BagColumn,
    EmbeddingKernels,
    IdColumns,
    IdOutOfRange,
    RowStep,
)
from plumbline.dlrm.ops.embedding.pooling import Pooling

POOLINGS: tuple[Pooling, ...] = ("mean", "sum", "max", "position_weighted")
POSITIONS = 3
ROW_DTYPES = (torch.float32, torch.bfloat16)
DTYPES = (torch.float32, torch.bfloat16, torch.float16)
COMMON_DIMS = (16, 32, 64, 128)
"""The lengths that have CUDA kernels of their own."""

GUARD = 256
"""Elements on either side of every buffer."""

UNTOUCHED = 123.0
ROUNDING = 2.0**-24
"""Relative rounding error of one float32 operation."""

RAISES = TestCase().assertRaisesRegex
"""Needs no pytest: the check of a GPU climbs the ladder too."""

EPS = 1e-8
KEYS = (0x9ABCDEF1, 0x12345678)


@dataclass(frozen=True)
class Shape:
    """Sizes of one case; `lists` marks the columns with a list of ids a row."""

    cardinalities: tuple[int, ...]
    lists: tuple[bool, ...]
    rows: int
    dim: int
    longest: int = 4
    """Longest list; 0 leaves all lists empty."""


SHAPES = (
    Shape((7, 300, 1, 40), (False,) * 4, rows=37, dim=16),
    Shape((5, 9, 2), (False, True, True), rows=21, dim=8),
    Shape((3, 4), (True, False), rows=50, dim=37),
    Shape((700, 11), (False, True), rows=19, dim=128, longest=9),
    Shape((70_000, 5_000), (False, True), rows=90, dim=3, longest=9),
    Shape((2, 6), (False, False), rows=33, dim=1),
    Shape((6,), (True,), rows=9, dim=136),
    Shape((4, 5), (True, False), rows=3, dim=20, longest=0),
    Shape((4, 5), (True, False), rows=1, dim=64),
    Shape((4, 5), (True, False), rows=0, dim=16),
    Shape((1,), (False,), rows=300, dim=24),
)


@dataclass(frozen=True)
class Case:
    """Inputs of one call. `weight` is a view into `buffer`, with a guard on each side."""

    buffer: Tensor
    weight_RD: Tensor
    columns: IdColumns
    gradient_BVD: Tensor
    state_buffer: Tensor
    state_R: Tensor

    @property
    def vectors(self) -> int:
        return self.gradient_BVD.shape[1]


def draw(
    shape: Shape,
    row_dtype: torch.dtype,
    gradient_dtype: torch.dtype = torch.float32,
    pooling: Pooling = "sum",
    seed: int = 0,
    device: str = "cpu",
) -> Case:
    """Rows and gradients ~ N(0, 1); ids are skewed, so that some rows occur often."""
    generator = np.random.default_rng(seed)
    first_row_V = np.cumsum([0, *shape.cardinalities])
    singles: list[NDArray[np.int64]] = []
    positions: list[int] = []
    bags: list[BagColumn] = []
    for position, (cardinality, is_list) in enumerate(
        zip(shape.cardinalities, shape.lists, strict=True)
    ):
        if is_list:
            length_B = generator.integers(0, shape.longest + 1, shape.rows)
            ids_N = _ids(generator, cardinality, int(length_B.sum()))
            offsets_B1 = np.cumsum([0, *length_B]).astype(np.int64)
            bags.append(
                BagColumn(
                    _guarded(ids_N, -(2**50), torch.int64, device),
                    torch.from_numpy(offsets_B1).to(device),
                    int(first_row_V[position]),
                    cardinality,
                    position,
                    _position_weights(position, device) if pooling == POOLINGS[3] else None,
                )
            )
        else:
            singles.append(_ids(generator, cardinality, shape.rows))
            positions.append(position)
    ids_BF = np.stack(singles, 1) if singles else np.empty((shape.rows, 0), np.int64)

    def numbers(values: Any) -> Tensor:
        return torch.tensor([int(value) for value in values], dtype=torch.int64, device=device)

    columns = IdColumns(
        _guarded(ids_BF, -(2**50), torch.int64, device),
        numbers(first_row_V[position] for position in positions),
        numbers(shape.cardinalities[position] for position in positions),
        numbers(positions),
        tuple(bags),
        pooling,
    )
    table_rows = int(first_row_V[-1])
    weight_RD = _guarded(
        generator.normal(size=(table_rows, shape.dim)), UNTOUCHED, row_dtype, device
    )
    # Some rows have never had a gradient.
    state_R = generator.exponential(size=table_rows) * generator.integers(0, 2, table_rows)
    state_R_ = _guarded(state_R, UNTOUCHED, torch.float32, device)
    gradient = generator.normal(size=(shape.rows, len(shape.cardinalities), shape.dim))
    return Case(
        _buffer(weight_RD),
        weight_RD,
        columns,
        _guarded(gradient, np.nan, gradient_dtype, device),
        _buffer(state_R_),
        state_R_,
    )


def check_look_up(kernels: EmbeddingKernels, case: Case, dtype: torch.dtype) -> Tensor:
    """Single ids exactly, lists under their bound; returns embedding_BVD."""
    shape = (len(case.columns.ids_BF), case.vectors, case.weight_RD.shape[1])
    out_BVD = _guarded(np.full(shape, np.nan), UNTOUCHED, dtype, case.weight_RD.device)
    before = case.buffer.clone()
    look_up(kernels, case, out_BVD)
    _check_guard(out_BVD, "the result")
    _check_equal(case.buffer, before, "a look-up wrote rows")
    columns = case.columns
    rows_BFD = case.weight_RD[columns.first_row_F + columns.ids_BF]
    _check_equal(out_BVD[:, columns.position_F], rows_BFD.to(dtype), "a look-up is not exact")
    for bag in columns.bags:
        if columns.pooling == "max":
            wanted_BD = _maxima(case.weight_RD, bag)[0].to(dtype).to(out_BVD.device)
            _check_equal(out_BVD[:, bag.position], wanted_BD, "a maximum is not exact")
            continue
        occurrence = _of_bag(bag, columns.pooling)
        vector_ND = case.weight_RD[bag.first_row + bag.ids_N].double().cpu().numpy()
        share_N1 = occurrence.share_N[:, None]
        rows = len(columns.ids_BF)
        exact_BD = _added(rows, occurrence.row_N, share_N1 * vector_ND)
        total_BD = _added(rows, occurrence.row_N, np.abs(share_N1 * vector_ND))
        length_B1 = np.bincount(occurrence.row_N, minlength=rows)[:, None]
        bound_BD = (length_B1 + 2) * ROUNDING * total_BD + _spacing(exact_BD, dtype)
        actual_BD = out_BVD[:, bag.position].double().cpu().numpy()
        assert (np.abs(actual_BD - exact_BD) <= bound_BD).all(), "a pooled list is not near enough"
        assert (actual_BD[length_B1[:, 0] == 0] == 0).all(), "an empty list is not zero"
    return out_BVD


def look_up(kernels: EmbeddingKernels, case: Case, out_BVD: Tensor) -> None:
    columns = case.columns
    kernels.gather(case.weight_RD, columns, out_BVD)
    for bag in columns.bags:
        kernels.pool(case.weight_RD, bag, columns.pooling, out_BVD)


def update(
    kernels: EmbeddingKernels,
    case: Case,
    adagrad: bool,
    learning_rate: float = 0.1,
    scale: float = 1.0,
) -> None:
    kernels.update(
        case.weight_RD,
        case.state_R if adagrad else None,
        case.columns,
        case.gradient_BVD,
        RowStep(learning_rate, EPS, scale, *KEYS),
    )


def check_update(
    kernels: EmbeddingKernels,
    case: Case,
    adagrad: bool,
    learning_rate: float = 0.1,
    scale: float = 1.0,
) -> None:
    """Compare changed rows and states with float64, and all others exactly."""
    weight_RD = case.weight_RD.double().cpu().numpy().copy()
    state_R = case.state_R.double().cpu().numpy().copy()
    rows_before_RD = case.weight_RD.clone()
    before, state_before = case.buffer.clone(), case.state_buffer.clone()
    update(kernels, case, adagrad, learning_rate, scale)
    actual_RD = case.weight_RD.float().cpu().numpy()
    actual_state_R = case.state_R.double().cpu().numpy()
    for occurrence, gradient_ND in _occurrences(case, rows_before_RD):
        touched_U, index_N, count_U = np.unique(
            occurrence.id_N, return_inverse=True, return_counts=True
        )
        rows = len(touched_U)
        g_UD = scale * _added(rows, index_N, gradient_ND)
        g_bound_UD = (
            (count_U[:, None] + 3)
            * ROUNDING
            * abs(scale)
            * _added(rows, index_N, np.abs(gradient_ND))
        )
        factor_U, slack_UD = np.full(rows, learning_rate), learning_rate * g_bound_UD
        if adagrad:
            dim = g_UD.shape[1]
            s_U = state_R[touched_U] + (g_UD**2).mean(1)
            s_bound_U = (2 * np.abs(g_UD) * g_bound_UD + g_bound_UD**2).mean(1)
            s_bound_U += (dim + 3) * ROUNDING * s_U + 1e-40
            error_U = np.abs(actual_state_R[touched_U] - s_U)
            assert (error_U <= s_bound_U).all(), "a state is not near enough"
            factor_U = learning_rate / (np.sqrt(s_U) + EPS)
            relative_U = s_bound_U / np.maximum(s_U, 1e-300) + 6 * ROUNDING
            slack_UD = factor_U[:, None] * (g_bound_UD + np.abs(g_UD) * relative_U[:, None])
            slack_UD = np.minimum(slack_UD, 2.1 * learning_rate * np.sqrt(dim))
        exact_UD = weight_RD[touched_U] - factor_U[:, None] * g_UD
        slack_UD = slack_UD + 4 * ROUNDING * (np.abs(exact_UD) + np.abs(weight_RD[touched_U]))
        _check_written(case, actual_RD[touched_U], touched_U, exact_UD, slack_UD)
        first, dim = GUARD, weight_RD.shape[1]
        case_rows = torch.from_numpy(touched_U).to(case.weight_RD.device)
        before[first : first + weight_RD.size].view(-1, dim)[case_rows] = case.weight_RD[case_rows]
        if adagrad:
            state_before[first : first + len(state_R)][case_rows] = case.state_R[case_rows]
    _check_equal(case.buffer, before, "a row that no id names was written")
    _check_equal(case.state_buffer, state_before, "a state that no id names was written")


def check_repeatable(
    kernels: EmbeddingKernels, shape: Shape, row_dtype: torch.dtype, device: str = "cpu"
) -> Case:
    """Two updates of equal inputs give equal bits; returns the case after one of them."""
    one, two = draw(shape, row_dtype, device=device), draw(shape, row_dtype, device=device)
    update(kernels, one, adagrad=True)
    update(kernels, two, adagrad=True)
    _check_equal(one.buffer, two.buffer, "two updates differ")
    _check_equal(one.state_buffer, two.state_buffer, "two updates differ in their states")
    return one


def check_bad_ids(kernels: EmbeddingKernels, row_dtype: torch.dtype, device: str = "cpu") -> None:
    """An id outside its table, in every column, is refused before anything is changed."""
    shape = Shape((5, 9, 7), (False, True, False), rows=11, dim=8)
    for bad in (-1, 2**31, 2**33, -(2**40)):
        for case, position, row in _spoilt(draw(shape, row_dtype, device=device), bad):
            out_BVD = torch.empty((11, 3, 8), device=case.weight_RD.device)
            before = case.buffer.clone()
            message = f"column {position}, row {row}: .*, got {bad}"
            with RAISES(IdOutOfRange, message) as raised:
                look_up(kernels, case, out_BVD)
            assert (raised.exception.position, raised.exception.got) == (position, bad)
            with RAISES(IdOutOfRange, message):
                update(kernels, case, adagrad=True)
            _check_equal(case.buffer, before, "a refused update wrote rows")
    # The first id past each table, whose row belongs to another table.
    for case, position, _ in _spoilt(draw(shape, row_dtype, device=device), None):
        with RAISES(IdOutOfRange, f"column {position}"):
            update(kernels, case, adagrad=False)


def check_bad_offsets(
    kernels: EmbeddingKernels, row_dtype: torch.dtype, device: str = "cpu"
) -> None:
    """Offsets that do not rise from 0 to the number of ids are refused."""
    shape = Shape((5, 9), (False, True), rows=4, dim=8, longest=0)
    case = draw(shape, row_dtype, device=device)
    bag = replace(case.columns.bags[0], ids_N=torch.tensor([1, 2, 3], device=device))
    for offsets in ([1, 1, 2, 2, 3], [0, 1, 2, 2, 2], [0, 2, 1, 3, 3], [0, 9, 3, 3, 3]):
        wrong = replace(bag, offsets_B1=torch.tensor(offsets, device=device))
        wrong_case = replace(case, columns=replace(case.columns, bags=(wrong,)))
        with RAISES(ValueError, "column 1: wanted offsets that rise from 0 to 3"):
            look_up(kernels, wrong_case, torch.empty(4, 2, 8, device=device))
        with RAISES(ValueError, "column 1: wanted offsets that rise from 0 to 3"):
            update(kernels, wrong_case, adagrad=False)


def stochastic_rounding(value_UD: NDArray[Any], row_U: NDArray[np.int64]) -> NDArray[np.float32]:
    """The specified rounding of these rows' float32 values with `KEYS`, in NumPy."""
    dim = value_UD.shape[1]
    element = (row_U[:, None] * dim + np.arange(dim)).astype(np.uint64)
    with np.errstate(over="ignore"):
        x = element.astype(np.uint32) ^ np.uint32(KEYS[0])
        x += (element >> np.uint64(32)).astype(np.uint32) * np.uint32(0x9E3779B9)
        x ^= x >> np.uint32(16)
        x *= np.uint32(0x7FEB352D)
        x ^= x >> np.uint32(15)
        x *= np.uint32(0x846CA68B)
        x ^= x >> np.uint32(16)
        x ^= np.uint32(KEYS[1])
        bits = np.ascontiguousarray(value_UD, np.float32).view(np.uint32) + (x >> np.uint32(16))
    return (bits & np.uint32(0xFFFF0000)).view(np.float32)


@dataclass(frozen=True)
class _Occurrences:
    """Occurrences of one column, in order: row of the batch, row of the buffer, share or weight."""

    row_N: NDArray[np.int64]
    id_N: NDArray[np.int64]
    share_N: NDArray[np.float64]


def _of_bag(bag: BagColumn, pooling: Pooling) -> _Occurrences:
    length_B = np.diff(bag.offsets_B1.cpu().numpy())
    row_N = np.repeat(np.arange(len(length_B)), length_B)
    share_N = 1.0 / length_B[row_N] if pooling == "mean" else np.ones(len(row_N))
    if bag.weights_P is not None:
        position_N = np.arange(len(row_N)) - bag.offsets_B1.cpu().numpy()[row_N]
        share_N = bag.weights_P.double().cpu().numpy()[np.minimum(position_N, POSITIONS - 1)]
    return _Occurrences(row_N, bag.first_row + bag.ids_N.cpu().numpy(), share_N)


def _position_weights(seed: int, device: str) -> Tensor:
    weight_P = np.random.default_rng(seed).normal(size=POSITIONS)
    return _guarded(weight_P, np.nan, torch.float32, device)


def _maxima(weight_RD: Tensor, bag: BagColumn) -> tuple[Tensor, NDArray[np.bool_]]:
    """maximum_BD, zeros for an empty list; for each id, whether it has it first, (N, D)."""
    offsets_B1 = bag.offsets_B1.cpu().numpy()
    vector_ND = weight_RD[bag.first_row + bag.ids_N].float().cpu().numpy()
    maximum_BD = np.zeros((len(offsets_B1) - 1, vector_ND.shape[1]), np.float32)
    has_it_ND = np.zeros(vector_ND.shape, np.bool_)
    for row, (begin, end) in enumerate(pairwise(offsets_B1)):
        if end > begin:
            maximum_BD[row] = vector_ND[begin:end].max(0)
            first_D = begin + vector_ND[begin:end].argmax(0)
            has_it_ND[first_D, np.arange(len(first_D))] = True
    return torch.from_numpy(maximum_BD), has_it_ND


def _occurrences(
    case: Case, weight_RD: Tensor
) -> Iterator[tuple[_Occurrences, NDArray[np.float64]]]:
    columns = case.columns
    gradient_BVD = case.gradient_BVD.double().cpu().numpy()
    rows = len(gradient_BVD)
    for column, position in enumerate(columns.position_F.tolist()):
        id_B = (columns.first_row_F[column] + columns.ids_BF[:, column]).cpu().numpy()
        yield _Occurrences(np.arange(rows), id_B, np.ones(rows)), gradient_BVD[:, position]
    for bag in columns.bags:
        occurrence = _of_bag(bag, columns.pooling)
        gradient_ND = gradient_BVD[occurrence.row_N, bag.position]
        if columns.pooling == "max":
            gradient_ND = gradient_ND * _maxima(weight_RD, bag)[1]
        yield occurrence, occurrence.share_N[:, None] * gradient_ND


def _check_written(
    case: Case,
    actual_UD: NDArray[np.float32],
    row_U: NDArray[np.int64],
    exact_UD: NDArray[np.float64],
    slack_UD: NDArray[np.float64],
) -> None:
    """Require values between the roundings of the lowest and the highest value allowed."""
    low_UD, high_UD = exact_UD - slack_UD, exact_UD + slack_UD
    if case.weight_RD.dtype == torch.bfloat16:
        low_UD = stochastic_rounding(low_UD, row_U).astype(np.float64)
        high_UD = stochastic_rounding(high_UD, row_U).astype(np.float64)
    assert ((low_UD <= actual_UD) & (actual_UD <= high_UD)).all(), "a row is not near enough"


def _spoilt(case: Case, bad: int | None) -> Iterator[tuple[Case, int, int]]:
    """The case with one id replaced, for each column; None means the first id past the table."""
    columns = case.columns
    for column, position in enumerate(columns.position_F.tolist()):
        ids_BF = columns.ids_BF.clone()
        ids_BF[6, column] = columns.cardinality_F[column] if bad is None else bad
        yield replace(case, columns=replace(columns, ids_BF=ids_BF)), position, 6
    for number, bag in enumerate(columns.bags):
        ids_N = bag.ids_N.clone()
        ids_N[-1] = bag.cardinality if bad is None else bad
        row = int((bag.offsets_B1 < len(ids_N)).nonzero()[-1])
        bags = list(columns.bags)
        bags[number] = replace(bag, ids_N=ids_N)
        yield replace(case, columns=replace(columns, bags=tuple(bags))), bag.position, row


def _ids(generator: np.random.Generator, cardinality: int, count: int) -> NDArray[np.int64]:
    return (cardinality * generator.random(count) ** 3).astype(np.int64)


def _added(rows: int, index_N: NDArray[np.int64], values_ND: Any) -> NDArray[np.float64]:
    total = np.zeros((rows, values_ND.shape[1]))
    np.add.at(total, index_N, values_ND)
    return total


def _spacing(values: NDArray[np.float64], dtype: torch.dtype) -> NDArray[np.float64]:
    """Slightly more than half the distance of neighbours in `dtype`."""
    info = torch.finfo(dtype)
    return np.maximum(0.51 * info.eps * np.abs(values), info.smallest_normal * info.eps)


def _guarded(values: Any, around: float, dtype: torch.dtype, device: Any) -> Tensor:
    """The values, contiguous, inside a buffer filled with `around`."""
    tensor = torch.as_tensor(values).to(dtype)
    buffer = torch.full((tensor.numel() + 2 * GUARD,), around, dtype=dtype, device=device)
    inside = buffer[GUARD : GUARD + tensor.numel()].view(tensor.shape)
    inside.copy_(tensor)
    return inside


def _buffer(tensor: Tensor) -> Tensor:
    """The whole buffer of a guarded tensor."""
    return torch.as_strided(tensor, (tensor.numel() + 2 * GUARD,), (1,), 0)


def _check_guard(tensor: Tensor, name: str) -> None:
    buffer = _buffer(tensor)
    around = torch.cat([buffer[:GUARD], buffer[GUARD + tensor.numel() :]])
    assert (around == UNTOUCHED).all(), f"written beside {name}"


def _check_equal(actual: Tensor, wanted: Tensor, message: str) -> None:
    """Bitwise comparison; torch.equal treats -0.0 as 0.0."""
    as_integers = torch.int32 if actual.element_size() == 4 else torch.int16
    same = actual.contiguous().view(as_integers), wanted.contiguous().view(as_integers)
    assert torch.equal(*same), message
