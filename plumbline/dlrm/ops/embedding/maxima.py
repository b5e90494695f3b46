"""Updates of the rows of lists that give their maximum, as updates of single ids.

Legend: B rows, V id columns in all, N ids of a list column, R rows of all tables, D embedding
length.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from plumbline.dlrm.ops.embedding.contract import IdColumns
from plumbline.dlrm.ops.embedding.reference import of_maximum, require_bag


def without_maxima(
    weight_RD: Tensor, columns: IdColumns, gradient_BVD: Tensor
) -> Iterator[tuple[IdColumns, Tensor]]:
    """The same update in parts, for kernels that take each id with a whole gradient or a share.

    All lists are checked before the first part. Then each is a column of its own with N rows, whose
    gradients are zero where another id has the maximum.
    """
    if columns.pooling != "max":
        yield columns, gradient_BVD
        return
    for bag in columns.bags:
        require_bag(bag)
    if columns.ids_BF.shape[1]:
        yield replace(columns, bags=()), gradient_BVD
    for bag in columns.bags:
        gradient_ND = of_maximum(weight_RD, bag, gradient_BVD[:, bag.position])

        def number(value: int, like: Tensor = bag.ids_N) -> Tensor:
            return torch.tensor([value], dtype=torch.int64, device=like.device)

        ids = IdColumns(
            bag.ids_N.unsqueeze(1),
            number(bag.first_row),
            number(bag.cardinality),
            number(0),
            (),
            "max",
        )
        yield ids, gradient_ND.unsqueeze(1).contiguous()
