"""The gradient of the weights of a list's positions.

Legend: B rows, N ids of a list column, P weights of its positions, R rows of all tables, D
embedding length.
"""

from __future__ import annotations

import torch
from torch import Tensor

from plumbline.dlrm.ops.embedding.contract import BagColumn
from plumbline.dlrm.ops.embedding.faults import usable
from plumbline.dlrm.ops.embedding.reference import position_of_each, row_of_each

AT_A_TIME = 1 << 16
"""Ids whose rows are in memory as float32 at a time."""


@torch.no_grad()
def position_gradient(weight_RD: Tensor, bag: BagColumn, gradient_BD: Tensor) -> Tensor:
    """gradient_P, float32: for each id, its row times the gradient of its list's vector, added up
    over the ids at a position, in order and in float64.

    Raises
    ------
    IdOutOfRange, ValueError
        As in plumbline/dlrm/ops/embedding/contract.py; on a GPU a wrong id counts as id 0.
    """
    bag = usable(bag)
    assert bag.weights_P is not None
    row_N = row_of_each(bag.offsets_B1, len(bag.ids_N))
    position_N = position_of_each(bag)
    total_P = torch.zeros(len(bag.weights_P), dtype=torch.float64, device=weight_RD.device)
    parts = (tensor.split(AT_A_TIME) for tensor in (bag.ids_N, row_N, position_N))
    for ids_M, row_M, position_M in zip(*parts, strict=True):
        vector_MD = weight_RD[bag.first_row + ids_M].float()
        dot_M = (vector_MD * gradient_BD[row_M].float()).sum(1).double()
        # Each of the two adds in order on its device; the other one may not.
        if total_P.is_cuda:
            total_P.index_put_((position_M,), dot_M, accumulate=True)
        else:
            total_P.index_add_(0, position_M, dot_M)
    return total_P.float()
