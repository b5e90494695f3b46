"""Click probabilities from encoded rows. Imports torch, NumPy and safetensors, and no Merlin.

Legend: B rows, F categorical columns, C continuous columns.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dlrm.model import DLRM
from dlrm.weights import CARD_FILE, load_model, read_model_card
from features.errors import ModelError


class Scorer:
    """A model for inference, in float32, on the device that its weights are on."""

    def __init__(self, model: DLRM) -> None:
        self.architecture = model.architecture
        self._model = model.eval()
        self._device = next(model.parameters()).device
        self._cardinality_F = np.array(model.architecture.cardinalities, np.int64)

    @classmethod
    def load(cls, folder: Path, expected_plan_hash: str | None) -> Scorer:
        """From a model folder; its files are checked.

        Raises
        ------
        ModelError
            A damaged model, or one of another feature plan than the expected (None takes any).
        """
        came = read_model_card(folder).plan_hash
        if expected_plan_hash is not None and came != expected_plan_hash:
            raise ModelError.other_plan(str(folder / CARD_FILE), expected_plan_hash, came)
        return cls(load_model(folder))

    def score(
        self, ids_BF: NDArray[np.int64], dense_BC: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """probability_B, float32, from int64 (B, F) and float32 (B, C), both in plan order.

        Raises
        ------
        ModelError
            A wrong shape or dtype, or an id that no embedding table has.
        """
        self._check(ids_BF, dense_BC)
        ids, dense = _tensor(ids_BF), _tensor(dense_BC)
        with torch.inference_mode():
            logit_B = self._model(ids.to(self._device), dense.to(self._device))
            return torch.sigmoid(logit_B).cpu().numpy()

    def _check(self, ids_BF: NDArray[np.int64], dense_BC: NDArray[np.float32]) -> None:
        architecture = self.architecture
        _check_form("ids", ids_BF, len(architecture.categorical), np.int64)
        _check_form("dense", dense_BC, len(architecture.continuous), np.float32)
        if len(ids_BF) != len(dense_BC):
            raise ModelError.wrong_input(
                "dense", f"{len(ids_BF)} rows, as many as ids", f"{len(dense_BC)}"
            )
        outside_BF = (ids_BF < 0) | (ids_BF >= self._cardinality_F)
        if outside_BF.any():
            row, column = np.argwhere(outside_BF)[0]
            raise ModelError.id_out_of_range(
                architecture.categorical[column],
                int(ids_BF[row, column]),
                architecture.cardinalities[column],
            )


def _check_form(name: str, values: NDArray[Any], width: int, dtype: type[np.generic]) -> None:
    if values.ndim != 2 or values.shape[1] != width:
        raise ModelError.wrong_input(name, f"shape (rows, {width})", f"shape {values.shape}")
    if values.dtype != dtype:
        raise ModelError.wrong_input(name, np.dtype(dtype).name, values.dtype.name)


def _tensor(values: NDArray[Any]) -> torch.Tensor:
    """Copied only where torch cannot share the memory: read-only, or not contiguous."""
    return torch.from_numpy(np.require(values, requirements=["C", "W"]))
