"""Scoring of a torch model on its device: native on a CPU and in int8; in torch on a GPU or
without a native module.

Legend: B rows, F columns with one id a row, C continuous columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray

from plumbline.dlrm.model.dlrm import DLRM
from plumbline.dlrm.ops.cuda_products import sum_products_in_float32
from plumbline.dlrm.ops.dtypes import DTYPES
from plumbline.dlrm.ops.library import cpu_module
from plumbline.dlrm.ops.scoring.contract import Scoring
from plumbline.dlrm.ops.scoring.precision import ScoringPrecision
from plumbline.dlrm.score.native_scoring import int8_scoring, native_scoring

if TYPE_CHECKING:
    from plumbline.columns.values import Lists


def scoring_of(model: DLRM, precision: ScoringPrecision, threads: int | None) -> Scoring:
    """The fastest scoring for the model's device. On a CPU it copies the layers, not the tables.

    int8 runs on the CPU, with quantized copies of the tables.
    """
    module, architecture = cpu_module(), model.architecture
    if precision == "int8":
        return int8_scoring(module, architecture, arrays_of(model), threads)
    if module is None or model.tables.weight.device.type != "cpu":
        return TorchScoring(model, precision, threads)
    return native_scoring(module, architecture, arrays_of(model), precision, threads)


def arrays_of(model: DLRM) -> dict[str, NDArray[Any]]:
    """The model's tensors as arrays on the host, bfloat16 as its bits."""
    return {name: _array(tensor) for name, tensor in model.state_dict().items()}


def _array(tensor: torch.Tensor) -> NDArray[Any]:
    """The tensor's memory, or a copy from a GPU, as an array; bfloat16 as its bits."""
    tensor = tensor.cpu()
    bits = tensor.view(torch.uint16) if tensor.dtype == torch.bfloat16 else tensor
    return bits.numpy()


class TorchScoring:
    """Runs the model in evaluation mode; bf16 rounds as bf16 training does.

    `threads` sets torch's threads for the whole process; None leaves them unchanged.
    """

    def __init__(
        self, model: DLRM, precision: Literal["fp32", "bf16"], threads: int | None
    ) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self._model = model.eval()
        self._device = next(model.parameters()).device
        if self._device.type == "cuda":
            sum_products_in_float32()
        self._dtype = DTYPES[precision]
        architecture = model.architecture
        sizes = dict(zip(architecture.categorical, architecture.cardinalities, strict=True))
        self._cardinality_F = np.array([sizes[name] for name in architecture.single], np.int64)
        self._cardinality_L = [sizes[name] for name in architecture.bags]

    def score(
        self, ids_BF: NDArray[np.int64], dense_BC: NDArray[np.float32], bags: Sequence[Lists]
    ) -> NDArray[np.float32] | None:
        """probability_B; None if an id is outside its table, which a GPU would not report."""
        cardinalities: tuple[Any, ...] = (self._cardinality_F, *self._cardinality_L)
        for ids, cardinality in zip((ids_BF, *map(_ids, bags)), cardinalities, strict=True):
            if ((ids < 0) | (ids >= cardinality)).any():
                return None
        lists = [(self._tensor(bag.values), self._tensor(bag.offsets)) for bag in bags]
        with torch.inference_mode():
            vector_BVD = self._model.tables(self._tensor(ids_BF), lists, self._dtype)
            logit_B = self._model.logits(vector_BVD, self._tensor(dense_BC))
            return torch.sigmoid(logit_B).cpu().numpy()

    def _tensor(self, values: Any) -> torch.Tensor:
        """A tensor that shares the memory; read-only or non-contiguous arrays are copied."""
        return torch.from_numpy(np.require(values, requirements=["C", "W"])).to(self._device)


def _ids(bag: Lists) -> NDArray[np.int64]:
    return cast("NDArray[np.int64]", bag.values)
