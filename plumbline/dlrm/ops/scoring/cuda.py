"""Scoring on a GPU by the native model, plumbline/dlrm/kernels/cuda/scoring_model.cuh, from NumPy
arrays. Needs no torch.

Legend: B rows, F columns with one id a row, C continuous columns, L list columns, P weights of a
list's positions, I inputs, O outputs of a layer.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from plumbline.dlrm.ops.device_array import DeviceArray, DeviceMemory
from plumbline.dlrm.ops.dtype_numbers import DTYPE_NUMBERS
from plumbline.dlrm.ops.embedding.pooling import POOLING_NUMBERS
from plumbline.dlrm.ops.scoring.contract import ScoringShape, position_weights

if TYPE_CHECKING:
    from plumbline.columns.values import Lists

CudaPrecision = Literal["fp32", "bf16"]

PADDING = 8
"""Inputs and outputs of a layer are padded with zeros to a multiple of it."""


class CudaScoring:
    """A model in the memory of one GPU. Calls are thread-safe, and run one after the other.

    A row's probability has the same bits in any batch on one kind of GPU: no sum's order depends on
    the batch. Other kinds, and the CPU, add in other orders.

    Parameters
    ----------
    module
        `plumbline.dlrm._kernels_cuda`, or the emulated one, whose device is the CPU.
    device
        The GPU's number.
    weights
        The tensors of `plumbline.dlrm.model.weight_shapes`. All are copied to the device.
    most_rows
        Rows that are computed at a time; the memory for their activations is taken here.

    Raises
    ------
    RuntimeError
        There is no such device, or it has too little memory.
    """

    def __init__(
        self,
        module: ModuleType,
        device: int,
        shape: ScoringShape,
        weights: Mapping[str, NDArray[Any]],
        precision: CudaPrecision,
        most_rows: int,
    ) -> None:
        self._module = module
        self._most_rows = most_rows
        self._memory = DeviceMemory(module, device)
        self._model = _created(module, device, shape, weights, precision, most_rows)
        weakref.finalize(self, module.scoring_free, self._model)
        _add_layers(module, self._model, shape, weights, precision)

    def score(
        self, ids_BF: NDArray[np.int64], dense_BC: NDArray[np.float32], bags: Sequence[Lists]
    ) -> DeviceArray | None:
        """probability_B1 on the device, complete; None if an id is outside its table.

        The caller has checked the inputs, except the range of the ids. Any strides are accepted.

        Raises
        ------
        RuntimeError
            A kernel failed. The model then scores no more.
        """
        rows = len(ids_BF)
        host_B1 = np.empty((rows, 1), np.float32)
        block = self._memory.take(host_B1.nbytes)
        for start in range(0, rows, self._most_rows):
            part = slice(start, start + self._most_rows)
            lists = [_part(bag, part) for bag in bags]
            if not self._score(ids_BF[part], dense_BC[part], lists, block.address, host_B1, start):
                return None
        return DeviceArray(block, host_B1)

    def _score(
        self,
        ids_BF: NDArray[np.int64],
        dense_BC: NDArray[np.float32],
        lists: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
        address: int,
        host_B1: NDArray[np.float32],
        start: int,
    ) -> bool:
        """Score rows, from row `start` of the result on; returns whether all ids are inside."""
        ids_BF, dense_BC = np.ascontiguousarray(ids_BF), np.ascontiguousarray(dense_BC)
        empty = np.empty(0, np.int64)
        list_ids_N = np.concatenate([empty, *(ids_N for ids_N, _ in lists)])
        offsets_LB1 = np.concatenate([empty, *(offsets_B1 for _, offsets_B1 in lists)])
        is_outside = ctypes.c_int(0)
        self._module.scoring_score(
            self._model,
            len(ids_BF),
            ids_BF.ctypes.data,
            dense_BC.ctypes.data,
            list_ids_N.ctypes.data,
            offsets_LB1.ctypes.data,
            address + start * host_B1.itemsize,
            host_B1[start:].ctypes.data,
            ctypes.addressof(is_outside),
        )
        return not is_outside.value


def _part(bag: Lists, rows: slice) -> tuple[Any, NDArray[np.int64]]:
    """The ids of these rows' lists, and their offsets from 0."""
    offsets_B1 = bag.offsets[rows.start : rows.stop + 1]
    first, last = offsets_B1[0], offsets_B1[-1]
    ids: Any = bag.values
    return ids[first:last], offsets_B1 - first


def _created(
    module: ModuleType,
    device: int,
    shape: ScoringShape,
    weights: Mapping[str, NDArray[Any]],
    precision: CudaPrecision,
    most_rows: int,
) -> int:
    """The model without its layers."""
    tables = (*shape.single, *shape.lists)
    first_row, cardinality, position = (
        np.array([table[number] for table in tables], np.int64) for number in range(3)
    )
    rows_RD = np.ascontiguousarray(weights["tables.weight"])
    weights_LP = np.array(position_weights(shape, weights), np.float32)
    model = ctypes.c_void_p()
    module.scoring_create(
        device,
        DTYPE_NUMBERS[precision],
        most_rows,
        shape.continuous,
        len(shape.single),
        len(shape.lists),
        rows_RD.ctypes.data,
        len(rows_RD),
        shape.embedding_dim,
        DTYPE_NUMBERS[shape.embedding_rows],
        first_row.ctypes.data,
        cardinality.ctypes.data,
        position.ctypes.data,
        POOLING_NUMBERS[shape.pooling],
        weights_LP.ctypes.data,
        weights_LP.shape[1] if weights_LP.size else 0,
        ctypes.addressof(model),
    )
    assert model.value is not None
    return model.value


def _add_layers(
    module: ModuleType,
    model: int,
    shape: ScoringShape,
    weights: Mapping[str, NDArray[Any]],
    precision: CudaPrecision,
) -> None:
    interacts = bool(shape.single or shape.lists)
    parts = (("bottom", shape.bottom_layers), ("top", shape.top_layers))
    for part, layers in parts:
        for number in range(layers):
            weight_OI = weights[f"{part}.{number}.weight"]
            bias_O = weights[f"{part}.{number}.bias"]
            # The interaction reads vectors without gaps.
            is_vector = part == "bottom" and number + 1 == layers and interacts
            outputs = len(bias_O) if is_vector else _padded(len(bias_O))
            wide_OI = np.zeros((outputs, _padded(weight_OI.shape[1])), np.float32)
            wide_OI[: weight_OI.shape[0], : weight_OI.shape[1]] = weight_OI
            wide_O = np.zeros(outputs, np.float32)
            wide_O[: len(bias_O)] = bias_O
            rounded_OI: NDArray[Any] = wide_OI
            if precision == "bf16":
                rounded_OI, wide_O = bfloat16_bits(wide_OI), _of_bits(bfloat16_bits(wide_O))
            module.scoring_layer(
                model,
                part == "bottom",
                rounded_OI.shape[1],
                outputs,
                rounded_OI.ctypes.data,
                wide_O.ctypes.data,
            )
    last_1I = np.ascontiguousarray(weights["last.weight"])
    bias = float(weights["last.bias"][0])
    module.scoring_last(model, last_1I.shape[1], last_1I.ctypes.data, bias)


def _padded(width: int) -> int:
    return -(-width // PADDING) * PADDING


def bfloat16_bits(numbers: NDArray[np.float32]) -> NDArray[np.uint16]:
    """The bits of the nearest bfloat16, ties to even; a number that is not one stays.

    >>> numbers = np.array([1, 1.00390625, -3.4e38, np.nan], np.float32)
    >>> [hex(bits) for bits in bfloat16_bits(numbers)]
    ['0x3f80', '0x3f80', '0xff80', '0x7fff']
    """
    bits = numbers.view(np.uint32)
    rounded = (bits + (0x7FFF + ((bits >> 16) & 1))) >> 16
    return np.where(np.isnan(numbers), 0x7FFF, rounded).astype(np.uint16)


def _of_bits(bits: NDArray[np.uint16]) -> NDArray[np.float32]:
    return (bits.astype(np.uint32) << 16).view(np.float32)
