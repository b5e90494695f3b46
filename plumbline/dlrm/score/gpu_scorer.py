"""Click probabilities from encoded rows on a GPU, without torch.

Legend: B rows, F columns with one id a row, C continuous columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from plumbline.base.errors import MachineError
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.model.model_card import WEIGHTS_FILE
from plumbline.dlrm.model.weight_shapes import check_shapes, weight_shapes
from plumbline.dlrm.ops.device_array import DeviceArray
from plumbline.dlrm.ops.scoring.cuda import CudaPrecision, CudaScoring
from plumbline.dlrm.score.native_scoring import scoring_shape
from plumbline.dlrm.score.row_checks import RowChecks
from plumbline.dlrm.score.scorer import card_to_score
from plumbline.dlrm.tensors.mapped_tensors import map_tensors, shapes_of

if TYPE_CHECKING:
    from plumbline.columns.values import Lists


class GpuScorer:
    """A model for inference on one GPU, in the CUDA kernels.

    A row's probability has the same bits in any batch on one kind of GPU. Those of a CPU differ in
    the last bits: sums have another order. Calls are thread-safe.
    """

    def __init__(self, architecture: Architecture, scoring: CudaScoring) -> None:
        self.architecture = architecture
        self._scoring = scoring
        self._checks = RowChecks(architecture)

    @classmethod
    def load(
        cls,
        module: ModuleType,
        device: int,
        folder: Path,
        expected_plan_hash: str,
        *,
        precision: CudaPrecision,
        most_rows: int,
    ) -> GpuScorer:
        """Load a model folder to a GPU and check its files.

        Parameters
        ----------
        module
            `plumbline.dlrm._kernels_cuda`.
        device
            The GPU's number.
        most_rows
            Rows that are computed at a time.

        Raises
        ------
        ModelError
            The model is damaged, is of another feature plan, or is quantized.
        MachineError
            There is no such GPU, it lacks memory, or the kernels have no code for it.
        """
        card = card_to_score(folder, expected_plan_hash, precision)
        file = folder / WEIGHTS_FILE
        weights = map_tensors(file, card.weights_sha256)
        check_shapes(weight_shapes(card.architecture), shapes_of(weights), str(file))
        shape = scoring_shape(card.architecture)
        try:
            scoring = CudaScoring(module, device, shape, weights, precision, most_rows)
        except RuntimeError as error:
            raise MachineError(
                f"{folder}: wanted the model on CUDA device {device}, but the device refused it: "
                f"{error}. Use a GPU with a working driver and memory for the whole model, or "
                "serve the repository for CPUs."
            ) from None
        return cls(card.architecture, scoring)

    def score(
        self,
        ids_BF: NDArray[np.int64],
        dense_BC: NDArray[np.float32],
        bags: Sequence[Lists] = (),
    ) -> DeviceArray:
        """probability_B1, float32, on the GPU and complete; inputs are those of `Scorer.score`.

        Raises
        ------
        ModelError
            A shape or dtype is wrong, or an id is out of range.
        RuntimeError
            The GPU failed. The model then scores no more.
        """
        self._checks.require_inputs(ids_BF, dense_BC, bags)
        probability_B1 = self._scoring.score(ids_BF, dense_BC, bags)
        if probability_B1 is None:
            raise self._checks.bad_id(ids_BF, bags)
        return probability_B1
