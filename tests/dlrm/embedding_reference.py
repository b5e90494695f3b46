"""The look-up of embedding rows in plain torch, differentiable by autograd.

Legend: B rows, V id columns, R rows of all tables, D embedding length.
"""

import torch
from torch import Tensor

from plumbline.dlrm.ops.embedding.contract import BagColumn, IdColumns
from plumbline.dlrm.ops.embedding.pooling import Pooling


def embedding_reference(weight_RD: Tensor, columns: IdColumns, dtype: torch.dtype) -> Tensor:
    """embedding_BVD of `dtype`, by the contract of plumbline/dlrm/ops/embedding/contract.py."""
    vectors = {bag.position: pooled(weight_RD, bag, columns.pooling) for bag in columns.bags}
    for position, first_row, id_B in zip(
        columns.position_F, columns.first_row_F, columns.ids_BF.unbind(1), strict=True
    ):
        vectors[int(position)] = weight_RD[first_row + id_B]
    if not vectors:
        return weight_RD.new_empty(len(columns.ids_BF), 0, weight_RD.shape[1], dtype=dtype)
    return torch.stack([vectors[position].to(dtype) for position in sorted(vectors)], dim=1)


def pooled(weight_RD: Tensor, bag: BagColumn, pooling: Pooling) -> Tensor:
    """vector_BD in float32, or float64 for float64 rows."""
    wide_RD = weight_RD if weight_RD.dtype == torch.float64 else weight_RD.float()
    vectors = []
    for ids_L in torch.tensor_split(bag.ids_N, bag.offsets_B1[1:-1]):
        vector_LD = wide_RD[bag.first_row + ids_L]
        if pooling == "max" and len(ids_L):
            pooled_D = torch.gather(vector_LD, 0, vector_LD.argmax(0, keepdim=True)).squeeze(0)
        elif pooling == "position_weighted":
            pooled_D = vector_LD.new_zeros(vector_LD.shape[1])
            for number, vector_D in enumerate(vector_LD):
                pooled_D = pooled_D + bag.weights_P[min(number, len(bag.weights_P) - 1)] * vector_D
        else:
            pooled_D = vector_LD.sum(0) / (max(len(ids_L), 1) if pooling == "mean" else 1)
        vectors.append(pooled_D)
    rows = len(bag.offsets_B1) - 1
    return torch.stack(vectors[:rows]) if rows else wide_RD[:0]
