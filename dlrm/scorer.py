"""Click probabilities from encoded rows. Imports torch, NumPy and safetensors, and no Merlin.

Legend: B rows, F columns with one id a row, C continuous columns, N ids of a list column.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from dlrm.model import DLRM
from dlrm.weights import CARD_FILE, load_model, read_model_card
from features.errors import ModelError

if TYPE_CHECKING:
    from features.values import Lists


class Scorer:
    """A model for inference, in float32, on the device that its weights are on."""

    def __init__(self, model: DLRM) -> None:
        self.architecture = model.architecture
        self._model = model.eval()
        self._device = next(model.parameters()).device
        architecture = model.architecture
        sizes = dict(zip(architecture.categorical, architecture.cardinalities, strict=True))
        self._cardinality_F = np.array([sizes[n] for n in architecture.single], np.int64)
        self._cardinality_L = [sizes[name] for name in architecture.bags]

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
        self,
        ids_BF: NDArray[np.int64],
        dense_BC: NDArray[np.float32],
        bags: Sequence[Lists] = (),
    ) -> NDArray[np.float32]:
        """probability_B, float32, from int64 (B, F) and float32 (B, C), both in plan order.

        `bags` are the list columns in plan order, each with int64 ids as values.

        Raises
        ------
        ModelError
            A wrong shape or dtype, or an id that no embedding table has.
        """
        self._check(ids_BF, dense_BC, bags)
        ids, dense = self._tensor(ids_BF), self._tensor(dense_BC)
        lists = [(self._tensor(_ids(bag)), self._tensor(bag.offsets)) for bag in bags]
        with torch.inference_mode():
            logit_B = self._model(ids, dense, lists)
            return torch.sigmoid(logit_B).cpu().numpy()

    def _tensor(self, values: NDArray[Any]) -> torch.Tensor:
        """Copied only where torch cannot share the memory: read-only, or not contiguous."""
        return torch.from_numpy(np.require(values, requirements=["C", "W"])).to(self._device)

    def _check(
        self, ids_BF: NDArray[np.int64], dense_BC: NDArray[np.float32], bags: Sequence[Lists]
    ) -> None:
        architecture = self.architecture
        rows = len(ids_BF)
        _check_form("ids", ids_BF, len(architecture.single), np.int64)
        _check_form("dense", dense_BC, len(architecture.continuous), np.float32)
        if rows != len(dense_BC):
            raise ModelError.wrong_input(
                "dense", f"{rows} rows, as many as ids", f"{len(dense_BC)}"
            )
        if len(bags) != len(architecture.bags):
            wanted = f"{len(architecture.bags)} list columns"
            raise ModelError.wrong_input("bags", wanted, f"{len(bags)}")
        outside_BF = (ids_BF < 0) | (ids_BF >= self._cardinality_F)
        if outside_BF.any():
            row, column = np.argwhere(outside_BF)[0]
            raise ModelError.id_out_of_range(
                architecture.single[column],
                int(ids_BF[row, column]),
                int(self._cardinality_F[column]),
            )
        for name, bag, cardinality in zip(
            architecture.bags, bags, self._cardinality_L, strict=True
        ):
            _check_bag(name, bag, rows, cardinality)


def _ids(bag: Lists) -> NDArray[np.int64]:
    return cast("NDArray[np.int64]", bag.values)


def _check_bag(name: str, bag: Lists, rows: int, cardinality: int) -> None:
    ids_N, offsets_B1 = _ids(bag), bag.offsets
    for form, values in (("ids", ids_N), ("offsets", offsets_B1)):
        if getattr(values, "dtype", None) != np.int64 or values.ndim != 1:
            wanted = f"{form} as one row of int64"
            raise ModelError.wrong_input(f"Column {name!r}", wanted, _form(values))
    if len(offsets_B1) != rows + 1:
        raise ModelError.wrong_input(
            f"Column {name!r}", f"{rows} lists, as many as rows", f"{len(offsets_B1) - 1}"
        )
    if offsets_B1[0] != 0 or offsets_B1[-1] != len(ids_N) or (np.diff(offsets_B1) < 0).any():
        wanted = f"offsets that rise from 0 to {len(ids_N)}, its number of ids"
        raise ModelError.wrong_input(f"Column {name!r}", wanted, "others")
    outside_N = (ids_N < 0) | (ids_N >= cardinality)
    if outside_N.any():
        raise ModelError.id_out_of_range(name, int(ids_N[outside_N][0]), cardinality)


def _form(values: object) -> str:
    if isinstance(values, np.ndarray):
        return f"{values.dtype.name} of shape {values.shape}"
    return type(values).__name__


def _check_form(name: str, values: NDArray[Any], width: int, dtype: type[np.generic]) -> None:
    if values.ndim != 2 or values.shape[1] != width:
        raise ModelError.wrong_input(name, f"shape (rows, {width})", f"shape {values.shape}")
    if values.dtype != dtype:
        raise ModelError.wrong_input(name, np.dtype(dtype).name, values.dtype.name)
