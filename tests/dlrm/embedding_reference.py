"""The look-up of embedding rows in plain torch, differentiable by autograd.

Legend: B rows, V id columns, R rows of all tables, D embedding length.
"""

import torch
from torch import Tensor

from plumbline.dlrm.ops.embedding.contract import BagColumn, IdColumns


def embedding_reference(weight_RD: Tensor, columns: IdColumns, dtype: torch.dtype) -> Tensor:
    """embedding_BVD of `dtype`, by the contract of plumbline/dlrm/ops/embedding/contract.py."""
    vectors = {bag.position: pooled(weight_RD, bag, columns.mean) for bag in columns.bags}
    for position, first_row, id_B in zip(
        columns.position_F, columns.first_row_F, columns.ids_BF.unbind(1), strict=True
    ):
        vectors[int(position)] = weight_RD[first_row + id_B]
    if not vectors:
        return weight_RD.new_empty(len(columns.ids_BF), 0, weight_RD.shape[1], dtype=dtype)
    return torch.stack([vectors[position].to(dtype) for position in sorted(vectors)], dim=1)


def pooled(weight_RD: Tensor, bag: BagColumn, mean: bool) -> Tensor:
    """vector_BD in float32, or float64 for float64 rows."""
    wide_RD = weight_RD if weight_RD.dtype == torch.float64 else weight_RD.float()
    sums = []
    for ids_L in torch.tensor_split(bag.ids_N, bag.offsets_B1[1:-1]):
        sum_D = wide_RD[bag.first_row + ids_L].sum(0)
        sums.append(sum_D / max(len(ids_L), 1) if mean else sum_D)
    rows = len(bag.offsets_B1) - 1
    return torch.stack(sums[:rows]) if rows else wide_RD[:0]
