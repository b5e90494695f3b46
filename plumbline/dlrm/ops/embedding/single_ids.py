"""Updates of the rows of lists whose ids differ in their gradients, as updates of single ids.

Legend: B rows, V id columns, N ids of a list column, R rows of all tables, D embedding length.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from torch import Tensor

from plumbline.dlrm.ops.embedding.contract import BagColumn, IdColumns
from plumbline.dlrm.ops.embedding.reference import of_each_id


def as_single_ids(
    weight_RD: Tensor, columns: IdColumns, gradient_BVD: Tensor
) -> Iterator[tuple[IdColumns, Tensor]]:
    """The same update in parts, for kernels that take each id with a whole gradient or a share.

    Sums and means stay as they are. For a maximum or weighted positions, each list column is a
    column of N rows with one id; the caller has checked all lists.
    """
    if columns.pooling in ("sum", "mean"):
        yield columns, gradient_BVD
        return
    if columns.ids_BF.shape[1]:
        yield replace(columns, bags=()), gradient_BVD
    for bag in columns.bags:
        gradient_BD = gradient_BVD[:, bag.position]
        gradient_ND = of_each_id(weight_RD, bag, columns.pooling, gradient_BD)
        yield _column_of(bag), gradient_ND.unsqueeze(1).contiguous()


def _column_of(bag: BagColumn) -> IdColumns:
    def number(value: int) -> Tensor:
        return bag.ids_N.new_full((1,), value)

    return IdColumns(
        bag.ids_N.unsqueeze(1),
        number(bag.first_row),
        number(bag.cardinality),
        number(0),
        (),
        "sum",
    )
