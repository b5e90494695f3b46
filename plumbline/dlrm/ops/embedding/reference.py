"""The embedding kernels in plain torch: the specification, and the fallback without a native
module.

Legend: B rows, F columns with one id a row, V id columns in all, N ids of a list column, P weights
of its positions, R rows of all tables, U distinct rows of a column's ids, D embedding length.
"""

from __future__ import annotations

import torch
from torch import Tensor

from plumbline.dlrm.ops.embedding.contract import (
    BagColumn,
    IdColumns,
    IdOutOfRange,
    RowStep,
    offsets_error,
)
from plumbline.dlrm.ops.embedding.pooling import Pooling
from plumbline.dlrm.ops.random_bits import low_32, random_bits


class ReferenceEmbedding:
    """Implements `EmbeddingKernels` in plain torch, on any device."""

    @torch.no_grad()
    def gather(self, weight_RD: Tensor, columns: IdColumns, out_BVD: Tensor) -> None:
        _require_ids(columns)
        vectors_BFD = _gathered(weight_RD, columns.ids_BF, columns.first_row_F)
        out_BVD[:, columns.position_F] = vectors_BFD.to(out_BVD.dtype)

    @torch.no_grad()
    def pool(self, weight_RD: Tensor, bag: BagColumn, pooling: Pooling, out_BVD: Tensor) -> None:
        require_bag(bag)
        out_BVD[:, bag.position] = pooled(weight_RD, bag, pooling)

    @torch.no_grad()
    def update(
        self,
        weight_RD: Tensor,
        state_R: Tensor | None,
        columns: IdColumns,
        gradient_BVD: Tensor,
        step: RowStep,
    ) -> None:
        _require_ids(columns)
        for bag in columns.bags:
            require_bag(bag)
        for row_N, gradient_ND in _occurrences(weight_RD, columns, gradient_BVD):
            row_U, index_N = row_N.unique(return_inverse=True)
            sum_UD = gradient_ND.new_zeros(len(row_U), weight_RD.shape[1])
            gradient_UD = step.scale * sum_UD.index_add_(0, index_N, gradient_ND)
            if state_R is None:
                change_UD = step.learning_rate * gradient_UD
            else:
                state_U = state_R[row_U] + _mean_of_squares(gradient_UD)
                state_R[row_U] = state_U
                rate_U = step.learning_rate / (state_U.sqrt() + step.eps)
                change_UD = rate_U.unsqueeze(1) * gradient_UD
            value_UD = weight_RD[row_U].float() - change_UD
            if weight_RD.dtype == torch.bfloat16:
                value_UD = stochastically_rounded(value_UD, row_U, step.k0, step.k1)
            weight_RD[row_U] = value_UD


def stochastically_rounded(value_UD: Tensor, row_U: Tensor, k0: int, k1: int) -> Tensor:
    """float32 values of these rows, rounded stochastically to bfloat16 without bias.

    The random bits of an element depend on its index in the buffer and on `k0` and `k1`, and are
    the same on every device. Values that are not finite are rounded to nearest.
    """
    dim = value_UD.shape[1]
    element_UD = row_U.unsqueeze(1) * dim + torch.arange(dim, device=row_U.device)
    bits_UD = random_bits(element_UD, k0, k1) >> 16
    raised_UD = (low_32(value_UD.contiguous().view(torch.int32).long()) + bits_UD) >> 16
    rounded_UD = raised_UD.to(torch.int16).view(torch.bfloat16)
    return torch.where(value_UD.isfinite(), rounded_UD, value_UD.to(torch.bfloat16))


def _gathered(weight_RD: Tensor, ids_BF: Tensor, first_row_F: Tensor) -> Tensor:
    """vectors_BFD, in the dtype of the rows."""
    rows, columns = ids_BF.shape
    vectors = weight_RD.index_select(0, (first_row_F + ids_BF).flatten())
    return vectors.view(rows, columns, weight_RD.shape[1])


def pooled(weight_RD: Tensor, bag: BagColumn, pooling: Pooling) -> Tensor:
    """vector_BD, float32, of a bag that `require_bag` accepts."""
    length_B, row_N = bag.offsets_B1.diff(), row_of_each(bag.offsets_B1, len(bag.ids_N))
    vector_ND = weight_RD.index_select(0, bag.first_row + bag.ids_N).float()
    vector_BD = vector_ND.new_zeros(len(length_B), weight_RD.shape[1])
    if pooling == "max":
        index_ND = row_N.unsqueeze(1).expand_as(vector_ND)
        return vector_BD.scatter_reduce(0, index_ND, vector_ND, "amax", include_self=False)
    if pooling == "position_weighted":
        vector_ND = vector_ND * _weight_of_each(bag)
    vector_BD = vector_BD.index_add(0, row_N, vector_ND)
    return vector_BD * _share(length_B, pooling).unsqueeze(1)


def of_each_id(weight_RD: Tensor, bag: BagColumn, pooling: Pooling, gradient_BD: Tensor) -> Tensor:
    """gradient_ND, float32: of each id of a bag, from the gradient of its list's vector."""
    gradient_BD = gradient_BD.float()
    if pooling == "max":
        return _of_maximum(weight_RD, bag, gradient_BD)
    if pooling == "position_weighted":
        return gradient_BD[row_of_each(bag.offsets_B1, len(bag.ids_N))] * _weight_of_each(bag)
    gradient_BD = gradient_BD * _share(bag.offsets_B1.diff(), pooling).unsqueeze(1)
    return gradient_BD[row_of_each(bag.offsets_B1, len(bag.ids_N))]


def position_of_each(bag: BagColumn) -> Tensor:
    """position_N: the index of the weight of each id; positions behind the last share it."""
    assert bag.weights_P is not None
    first_N = bag.offsets_B1[row_of_each(bag.offsets_B1, len(bag.ids_N))]
    number_N = torch.arange(len(first_N), device=first_N.device)
    return (number_N - first_N).clamp(max=len(bag.weights_P) - 1)


def _weight_of_each(bag: BagColumn) -> Tensor:
    """weight_N1."""
    assert bag.weights_P is not None
    return bag.weights_P[position_of_each(bag)].unsqueeze(1)


def _of_maximum(weight_RD: Tensor, bag: BagColumn, gradient_BD: Tensor) -> Tensor:
    """gradient_ND: of each element of a list's maximum, for the first id that has it."""
    row_N, dim = row_of_each(bag.offsets_B1, len(bag.ids_N)), weight_RD.shape[1]
    vector_ND = weight_RD.index_select(0, bag.first_row + bag.ids_N).float()
    has_it_ND = vector_ND == pooled(weight_RD, bag, "max")[row_N]
    count = len(row_N)
    number_N = torch.arange(count, device=row_N.device)
    number_ND = torch.where(has_it_ND, number_N.unsqueeze(1), count)
    first_BD = number_ND.new_full((len(gradient_BD), dim), count)
    index_ND = row_N.unsqueeze(1).expand_as(number_ND)
    first_BD = first_BD.scatter_reduce(0, index_ND, number_ND, "amin")
    is_first_ND = first_BD[row_N] == number_N.unsqueeze(1)
    return torch.where(is_first_ND, gradient_BD[row_N], 0)


def _occurrences(
    weight_RD: Tensor, columns: IdColumns, gradient_BVD: Tensor
) -> list[tuple[Tensor, Tensor]]:
    """For each column, in order: the occurrences' buffer rows and their float32 gradients."""
    occurrences = []
    for column, position in enumerate(columns.position_F.tolist()):
        row_B = columns.first_row_F[column] + columns.ids_BF[:, column]
        occurrences.append((row_B, gradient_BVD[:, position].float()))
    for bag in columns.bags:
        gradient_BD = gradient_BVD[:, bag.position]
        gradient_ND = of_each_id(weight_RD, bag, columns.pooling, gradient_BD)
        occurrences.append((bag.first_row + bag.ids_N, gradient_ND))
    return occurrences


def row_of_each(offsets_B1: Tensor, ids: int) -> Tensor:
    """row_N: the batch row of each id of a list column, whose offsets rise from 0 to `ids`."""
    length_B = offsets_B1.diff()
    row_B = torch.arange(len(length_B), device=length_B.device)
    return row_B.repeat_interleave(length_B, output_size=ids)  # or a GPU waits for the size


def _share(length_B: Tensor, pooling: Pooling) -> Tensor:
    """Factor of each id of a list: 1, or 1 / length for the mean."""
    share_B = 1.0 / length_B.clamp(min=1).float()
    return share_B if pooling == "mean" else torch.ones_like(share_B)


def _mean_of_squares(gradient_UD: Tensor) -> Tensor:
    """Mean of squares, added in order in float32."""
    dim = gradient_UD.shape[1]
    total_U = torch.zeros_like(gradient_UD[:, 0])
    for square_U in gradient_UD.square().t().contiguous():
        total_U += square_U
    return total_U / dim


def _require_ids(columns: IdColumns) -> None:
    outside_BF = (columns.ids_BF < 0) | (columns.ids_BF >= columns.cardinality_F)
    if outside_BF.any():
        row, column = outside_BF.nonzero()[0].tolist()
        raise IdOutOfRange(
            int(columns.position_F[column]),
            row,
            int(columns.ids_BF[row, column]),
            int(columns.cardinality_F[column]),
        )


def require_bag(bag: BagColumn) -> None:
    """Raises for an id outside its table, and for offsets that do not fit."""
    length_B = bag.offsets_B1.diff()
    ends = (int(bag.offsets_B1[0]), int(bag.offsets_B1[-1]))
    if ends != (0, len(bag.ids_N)) or (length_B < 0).any():
        raise offsets_error(bag.position, len(bag.ids_N))
    outside_N = (bag.ids_N < 0) | (bag.ids_N >= bag.cardinality)
    if outside_N.any():
        position = int(outside_N.nonzero()[0])
        row = int(row_of_each(bag.offsets_B1, len(bag.ids_N))[position])
        raise IdOutOfRange(bag.position, row, int(bag.ids_N[position]), bag.cardinality)
