"""Checks of encoded rows before they are scored. Needs no torch.

Legend: B rows, F columns with one id a row, C continuous columns, N ids of a list column.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.model.architecture import Architecture

if TYPE_CHECKING:
    from plumbline.columns.values import Lists


class RowChecks:
    """The shapes, dtypes and ids that a model takes."""

    def __init__(self, architecture: Architecture) -> None:
        self._architecture = architecture
        sizes = dict(zip(architecture.categorical, architecture.cardinalities, strict=True))
        self._cardinality_F = np.array([sizes[n] for n in architecture.single], np.int64)
        self._cardinality_L = [sizes[name] for name in architecture.bags]

    def require_inputs(
        self, ids_BF: NDArray[np.int64], dense_BC: NDArray[np.float32], bags: Sequence[Lists]
    ) -> None:
        """Raises ModelError if a shape or dtype is wrong; ids are not looked at."""
        architecture = self._architecture
        rows = len(ids_BF)
        _check_matrix("ids", ids_BF, len(self._cardinality_F), np.int64)
        _check_matrix("dense", dense_BC, len(architecture.continuous), np.float32)
        if rows != len(dense_BC):
            raise ModelError.wrong_input(
                "dense", f"{rows} rows, as many as ids", f"{len(dense_BC)}"
            )
        if len(bags) != len(architecture.bags):
            wanted = f"{len(architecture.bags)} list columns"
            raise ModelError.wrong_input("bags", wanted, f"{len(bags)}")
        for name, bag in zip(architecture.bags, bags, strict=True):
            _check_bag(name, bag, rows)

    def bad_id(self, ids_BF: NDArray[np.int64], bags: Sequence[Lists]) -> ModelError:
        """The error for the first id out of range, in the single-id columns, then in the lists."""
        outside_BF = (ids_BF < 0) | (ids_BF >= self._cardinality_F)
        if outside_BF.any():
            row, column = np.argwhere(outside_BF)[0]
            return ModelError.id_out_of_range(
                self._architecture.single[column],
                int(ids_BF[row, column]),
                int(self._cardinality_F[column]),
            )
        errors = []
        for name, bag, cardinality in zip(
            self._architecture.bags, bags, self._cardinality_L, strict=True
        ):
            ids_N = _ids(bag)
            for got in ids_N[(ids_N < 0) | (ids_N >= cardinality)][:1]:
                errors.append(ModelError.id_out_of_range(name, int(got), cardinality))
        return errors[0]


def _ids(bag: Lists) -> NDArray[np.int64]:
    return cast("NDArray[np.int64]", bag.values)


def _check_bag(name: str, bag: Lists, rows: int) -> None:
    ids_N, offsets_B1 = _ids(bag), bag.offsets
    for part, values in (("ids", ids_N), ("offsets", offsets_B1)):
        if getattr(values, "dtype", None) != np.int64 or values.ndim != 1:
            wanted = f"{part} as one row of int64"
            raise ModelError.wrong_input(f"Column {name!r}", wanted, _described(values))
    if len(offsets_B1) != rows + 1:
        raise ModelError.wrong_input(
            f"Column {name!r}", f"{rows} lists, as many as rows", f"{len(offsets_B1) - 1}"
        )
    if offsets_B1[0] != 0 or offsets_B1[-1] != len(ids_N) or (np.diff(offsets_B1) < 0).any():
        wanted = f"offsets that rise from 0 to {len(ids_N)}, its number of ids"
        raise ModelError.wrong_input(f"Column {name!r}", wanted, "others")


def _described(values: object) -> str:
    if isinstance(values, np.ndarray):
        return f"{values.dtype.name} of shape {values.shape}"
    return type(values).__name__


def _check_matrix(name: str, values: NDArray[Any], width: int, dtype: type[np.generic]) -> None:
    if values.ndim != 2 or values.shape[1] != width:
        raise ModelError.wrong_input(name, f"shape (rows, {width})", f"shape {values.shape}")
    if values.dtype != dtype:
        raise ModelError.wrong_input(name, np.dtype(dtype).name, values.dtype.name)
