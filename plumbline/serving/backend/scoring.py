"""The model step: ids and dense features to click probabilities, by the DLRM scorer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline.base.errors import PlanError
from plumbline.columns.list_bytes import unpack_integers
from plumbline.columns.values import Lists
from plumbline.columns.wire import Tensors, first_infinite
from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.model.model_card import CARD_FILE, read_model_card
from plumbline.dlrm.score.scorer import Scorer
from plumbline.features.encoding.encoder import Encoded
from plumbline.serving.backend.served_version import ServedVersion
from plumbline.serving.contract.interface import (
    CLICK_PROBABILITY,
    DENSE,
    IDS,
    LIST_IDS,
    MODEL_HASH,
    PLAN_HASH,
)

MODEL_FOLDER = "model"
"""Where the model lies inside a model's version folder."""


def load_scorer(version: ServedVersion) -> Scorer:
    """Load the model of a served version; its files are checked against their hashes.

    Raises
    ------
    ModelError
        A missing or changed file, or another model than the config's, or one that was trained on
        another plan than the config's.
    """
    model_folder = version.folder / MODEL_FOLDER
    wanted, came = version.parameters[MODEL_HASH], read_model_card(model_folder).model_hash
    if came != wanted:
        raise ModelError(
            f"{model_folder / CARD_FILE}: wanted model {wanted[:12]}…, as the config says, "
            f"found {came[:12]}…. Export the model repository again."
        )
    return Scorer.load(
        model_folder,
        version.parameters[PLAN_HASH],
        precision=version.precision or "fp32",
        threads=version.threads,
    )


def scored(scorer: Scorer, encoded: Encoded) -> Tensors:
    """The probabilities of encoded rows.

    Raises
    ------
    ModelError
        The rows are not the model's; or one of them has a number that no probability comes of.
    """
    probability_B = scorer.score(encoded.ids_BF, encoded.dense_BC, encoded.bags)
    names = scorer.architecture.continuous
    require_finite_dense(names, encoded.dense_BC)
    if np.isnan(probability_B).any():
        raise _not_a_number(names, encoded.dense_BC, int(np.isnan(probability_B).argmax()))
    return {CLICK_PROBABILITY: probability_B[:, np.newaxis]}


def require_finite_dense(names: Sequence[str], dense_BC: NDArray[np.float32]) -> None:
    """Raises ModelError where a dense feature is infinite, naming its column and row."""
    place = first_infinite(dense_BC)
    if place is not None:
        row, column = place
        raise ModelError(
            f"Column {names[column]!r}: the model wants a finite float32 number, got "
            f"{dense_BC[place]} in row {row}, after the steps of the feature plan. Send a number "
            "that is nearer to those of the training."
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
        f"Row {row}: its click probability is not a number{cause}. Send numbers that are nearer to "
        "those of the training."
    )


def from_encoded_tensors(tensors: Tensors, architecture: Architecture) -> Encoded:
    """The way back from `to_encoded_tensors`.

    Raises
    ------
    ModelError
        A list tensor of another form.
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
        return tuple(unpack_integers(n, packed[:, place]) for place, n in enumerate(names))
    except PlanError as error:
        raise ModelError(str(error)) from None
