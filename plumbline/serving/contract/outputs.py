"""The outputs of the served models: encoded rows as tensors, and probabilities.

The export computes the check rows with these functions, and the backend the answers to requests.

Legend: B rows, C continuous columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from plumbline.base.errors import PlanError
from plumbline.columns.list_bytes import pack, unpack_integers
from plumbline.columns.values import Lists
from plumbline.columns.wire import Tensors, first_infinite
from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.score.scorer import Scorer
from plumbline.features.encoding.encoder import Encoded
from plumbline.serving.contract.interface import CLICK_PROBABILITY, DENSE, IDS, LIST_IDS

if TYPE_CHECKING:
    from plumbline.dlrm.ops.device_array import DeviceArray
    from plumbline.dlrm.score.gpu_scorer import GpuScorer


def to_encoded_tensors(encoded: Encoded) -> Tensors:
    """Encoded rows as the tensors between the models; a tensor without columns is left out."""
    tensors: Tensors = {}
    if encoded.ids_BF.shape[1]:
        tensors[IDS] = np.ascontiguousarray(encoded.ids_BF)
    if encoded.bags:
        tensors[LIST_IDS] = np.column_stack([pack(bag) for bag in encoded.bags])
    if encoded.dense_BC.shape[1]:
        tensors[DENSE] = np.ascontiguousarray(encoded.dense_BC)
    return tensors


def from_encoded_tensors(tensors: Tensors, architecture: Architecture) -> Encoded:
    """The inverse of `to_encoded_tensors`.

    Raises
    ------
    ModelError
        The tensor of lists has a wrong shape or type, or bytes that are not a list.
    """
    ids: Any = tensors[IDS] if IDS in tensors else _no_columns(tensors, np.int64)
    dense: Any = tensors[DENSE] if DENSE in tensors else _no_columns(tensors, np.float32)
    return Encoded(ids, _bags(tensors, architecture.bags), dense)


def _no_columns(tensors: Tensors, dtype: type[np.generic]) -> NDArray[Any]:
    return np.empty((len(next(iter(tensors.values()))), 0), dtype)


def _bags(tensors: Tensors, names: tuple[str, ...]) -> tuple[Lists, ...]:
    if not names:
        return ()
    packed: Any = tensors[LIST_IDS]
    if packed.ndim != 2 or packed.shape[1] != len(names) or packed.dtype != np.object_:
        wanted = f"bytes of shape (rows, {len(names)})"
        raise ModelError.wrong_input(LIST_IDS, wanted, f"{packed.dtype} of shape {packed.shape}")
    try:
        return tuple(unpack_integers(n, packed[:, index]) for index, n in enumerate(names))
    except PlanError as error:
        raise ModelError(str(error)) from None


Outputs: TypeAlias = Mapping[str, "NDArray[Any] | DeviceArray"]
"""A model's output tensors by name, each on the host or on a GPU."""


def on_host(outputs: Outputs) -> Tensors:
    """The same as arrays of the host."""
    return {name: np.asarray(output) for name, output in outputs.items()}


def scored(scorer: Scorer, encoded: Encoded) -> Tensors:
    """The probabilities of encoded rows.

    Raises
    ------
    ModelError
        The rows do not fit the model, a dense feature is infinite, or a probability is NaN.
    """
    probability_B = scorer.score(encoded.ids_BF, encoded.dense_BC, encoded.bags)
    _require_scores(scorer.architecture.continuous, encoded.dense_BC, probability_B)
    return {CLICK_PROBABILITY: probability_B[:, np.newaxis]}


def scored_on_gpu(scorer: GpuScorer, encoded: Encoded) -> Outputs:
    """The same on a GPU, where the probabilities stay; raises the same errors."""
    probability_B1 = scorer.score(encoded.ids_BF, encoded.dense_BC, encoded.bags)
    _require_scores(scorer.architecture.continuous, encoded.dense_BC, probability_B1.host[:, 0])
    return {CLICK_PROBABILITY: probability_B1}


def _require_scores(
    names: Sequence[str], dense_BC: NDArray[np.float32], probability_B: NDArray[np.float32]
) -> None:
    require_finite_dense(names, dense_BC)
    if np.isnan(probability_B).any():
        raise _not_a_number(names, dense_BC, int(np.isnan(probability_B).argmax()))


def require_finite_dense(names: Sequence[str], dense_BC: NDArray[np.float32]) -> None:
    """Raises ModelError, with the column and the row, if a dense feature is infinite."""
    position = first_infinite(dense_BC)
    if position is not None:
        row, column = position
        raise ModelError(
            f"Column {names[column]!r}: the model wants a finite float32 number, got "
            f"{dense_BC[position]} in row {row}, after the steps of the feature plan. Send a "
            "number closer to those in the training data."
        )


def _not_a_number(names: Sequence[str], dense_BC: NDArray[np.float32], row: int) -> ModelError:
    dense_C = np.where(np.isnan(dense_BC[row]), np.inf, np.abs(dense_BC[row]))
    cause = ""
    if names:
        column = int(dense_C.argmax())
        cause = (
            f", where column {names[column]!r} is {dense_BC[row, column]:g} as the model gets it"
        )
    return ModelError(
        f"Row {row}: its click probability is not a number{cause}. Send numbers closer to those in "
        "the training data."
    )
