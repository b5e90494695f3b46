"""The CUDA embedding kernels on torch tensors.

Legend: B rows, F columns with one id a row, V id columns in all, N ids of a list column, R rows of
all tables, M ids of a whole batch, D embedding length.
"""

from __future__ import annotations

from types import ModuleType

import torch
from torch import Tensor

from plumbline.dlrm.ops.address import address
from plumbline.dlrm.ops.cuda_device import device_of, stream_of
from plumbline.dlrm.ops.dtypes import NUMBERS
from plumbline.dlrm.ops.embedding.contract import (
    BagColumn,
    IdColumns,
    IdOutOfRange,
    RowStep,
    offsets_error,
)
from plumbline.dlrm.ops.embedding.faults import IdFaults, inside, wrong_offsets
from plumbline.dlrm.ops.embedding.pooling import Pooling
from plumbline.dlrm.ops.embedding.reference import pooled, require_bag
from plumbline.dlrm.ops.embedding.single_ids import as_single_ids

NOWHERE = 2**63 - 1
"""Position that stands for "no id is out of range"."""


class CudaEmbedding:
    """Implements `EmbeddingKernels` on the current stream of the rows' device.

    The device detects ids out of range, and reading the result back waits for the device.

    Parameters
    ----------
    module
        `plumbline.dlrm._kernels_cuda`, or the emulated one, whose tensors are on the CPU.
    waits
        Whether `gather` and `pool` read it back, and raise. If not, they never wait, and the result
        of an id out of range is undefined.
    faults
        Where `update` notes a wrong id. It then never waits nor raises, and with finite gradients
        it changes no row once a fault is noted. If None, it reads the result back once, before it
        changes a row.
    """

    def __init__(
        self, module: ModuleType, waits: bool = True, faults: IdFaults | None = None
    ) -> None:
        self._module = module
        self._waits = waits
        self._faults = faults

    def gather(self, weight_RD: Tensor, columns: IdColumns, out_BVD: Tensor) -> None:
        outside = _nowhere(weight_RD)
        with device_of(weight_RD):
            self._module.embedding_gather(
                address(weight_RD),
                address(columns.ids_BF),
                address(columns.first_row_F),
                address(columns.cardinality_F),
                address(columns.position_F),
                address(out_BVD),
                address(outside),
                *columns.ids_BF.shape,
                out_BVD.shape[1],
                *weight_RD.shape,
                NUMBERS[weight_RD.dtype],
                NUMBERS[out_BVD.dtype],
                stream_of(weight_RD),
            )
        if self._waits and int(outside[0]) != NOWHERE:
            raise _single_error(columns, int(outside[0]))

    def pool(self, weight_RD: Tensor, bag: BagColumn, pooling: Pooling, out_BVD: Tensor) -> None:
        if pooling not in ("sum", "mean"):  # in torch: the module has no kernel for them
            if self._waits:
                require_bag(bag)
            out_BVD[:, bag.position] = pooled(weight_RD, inside(bag), pooling)
            return
        outside = _nowhere(weight_RD)
        with device_of(weight_RD):
            self._module.embedding_pool(
                address(weight_RD),
                address(bag.ids_N),
                address(bag.offsets_B1),
                address(out_BVD),
                address(outside),
                len(out_BVD),
                len(bag.ids_N),
                bag.first_row,
                bag.cardinality,
                bag.position,
                out_BVD.shape[1],
                *weight_RD.shape,
                pooling == "mean",
                NUMBERS[weight_RD.dtype],
                NUMBERS[out_BVD.dtype],
                stream_of(weight_RD),
            )
        if self._waits:
            position, row = outside.tolist()
            if row != NOWHERE or (len(out_BVD) == 0 and len(bag.ids_N) > 0):
                raise offsets_error(bag.position, len(bag.ids_N))
            if position != NOWHERE:
                raise _bag_error(bag, position)

    def update(
        self,
        weight_RD: Tensor,
        state_R: Tensor | None,
        columns: IdColumns,
        gradient_BVD: Tensor,
        step: RowStep,
    ) -> None:
        if self._faults is None:
            _require_inside(columns)
        else:
            columns = self._faults.look(columns)
        for part, gradient in as_single_ids(weight_RD, columns, gradient_BVD):
            self._update(weight_RD, state_R, part, gradient, step)

    def _update(
        self,
        weight_RD: Tensor,
        state_R: Tensor | None,
        columns: IdColumns,
        gradient_BVD: Tensor,
        step: RowStep,
    ) -> None:
        row_M, source_M, share_M = _occurrences(columns, gradient_BVD.shape[1])
        row_M, order_M = _sorted(row_M, len(weight_RD))
        source_M = source_M[order_M]
        share_M = None if share_M is None else share_M[order_M]
        if self._faults is not None:  # shares of 0 leave all rows as they are
            kept = 1 - self._faults.seen
            share_M = kept.expand(len(row_M)).contiguous() if share_M is None else kept * share_M
        gradient_rows = gradient_BVD.shape[0] * gradient_BVD.shape[1]
        count, (rows, dim) = len(row_M), weight_RD.shape
        partial = row_M.new_empty(self._module.embedding_partial(count, dim), dtype=torch.float32)
        with device_of(weight_RD):
            self._module.embedding_update(
                address(weight_RD),
                address(state_R),
                address(row_M),
                address(source_M),
                address(share_M),
                address(gradient_BVD),
                address(partial),
                count,
                rows,
                gradient_rows,
                dim,
                NUMBERS[weight_RD.dtype],
                NUMBERS[gradient_BVD.dtype],
                step.learning_rate,
                step.eps,
                step.scale,
                step.k0,
                step.k1,
                stream_of(weight_RD),
            )


def _nowhere(tensor: Tensor) -> Tensor:
    """The kernels' error slots: position of an id out of range, row of wrong offsets."""
    return torch.full((2,), NOWHERE, dtype=torch.int64, device=tensor.device)


def _occurrences(columns: IdColumns, width: int) -> tuple[Tensor, Tensor, Tensor | None]:
    """For each id of the batch: its row of all tables, its row of gradient (B · V, D), its share.

    The ids of a column stay in order; `width` is V. The shares are None if all are 1.
    """
    rows = len(columns.ids_BF)
    row_B = torch.arange(rows, device=columns.ids_BF.device)
    row = [(columns.first_row_F + columns.ids_BF).flatten()]
    source = [(row_B.unsqueeze(1) * width + columns.position_F).flatten()]
    share = [torch.ones_like(source[0], dtype=torch.float32)]
    for bag in columns.bags:
        length_B = bag.offsets_B1.diff()
        row_N = row_B.repeat_interleave(length_B, output_size=len(bag.ids_N))
        row.append(bag.first_row + bag.ids_N)
        source.append(row_N * width + bag.position)
        share.append(1.0 / length_B[row_N].float())
    is_shared = columns.pooling == "mean" and bool(columns.bags)
    return torch.cat(row), torch.cat(source), torch.cat(share) if is_shared else None


def _sorted(row_M: Tensor, rows: int) -> tuple[Tensor, Tensor]:
    """Stable ascending sort: the rows, and each one's index before sorting."""
    if rows <= 2**31:
        row_M = row_M.to(torch.int32)  # halves the passes of the radix sort
    sorted_M, order_M = row_M.sort(stable=True)
    return sorted_M.long(), order_M


def _require_inside(columns: IdColumns) -> None:
    """Raises for an id outside its table, and for offsets that do not rise from 0 to its ids."""
    outside_BF = (columns.ids_BF < 0) | (columns.ids_BF >= columns.cardinality_F)
    faults = [outside_BF.any()]
    for bag in columns.bags:
        faults += [wrong_offsets(bag), _outside(bag).any()]
    single, *of_bags = torch.stack(faults).tolist()
    if single:
        position = int(outside_BF.flatten().nonzero()[0])
        raise _single_error(columns, position)
    for bag, wrong, outside in zip(columns.bags, of_bags[::2], of_bags[1::2], strict=True):
        if wrong:
            raise offsets_error(bag.position, len(bag.ids_N))
        if outside:
            raise _bag_error(bag, int(_outside(bag).nonzero()[0]))


def _outside(bag: BagColumn) -> Tensor:
    return (bag.ids_N < 0) | (bag.ids_N >= bag.cardinality)


def _single_error(columns: IdColumns, position: int) -> IdOutOfRange:
    """The error for the id at this flat index of `ids_BF`."""
    row, column = divmod(position, columns.ids_BF.shape[1])
    return IdOutOfRange(
        int(columns.position_F[column]),
        row,
        int(columns.ids_BF[row, column]),
        int(columns.cardinality_F[column]),
    )


def _bag_error(bag: BagColumn, position: int) -> IdOutOfRange:
    row = int((bag.offsets_B1 <= position).sum()) - 1
    return IdOutOfRange(bag.position, row, int(bag.ids_N[position]), bag.cardinality)
