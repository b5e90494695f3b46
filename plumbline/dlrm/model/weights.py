"""A trained model on disk: `model.safetensors`, and its card, `model.json`."""

from __future__ import annotations

from pathlib import Path

from plumbline.base.inside import file_inside
from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.model.dlrm import DLRM
from plumbline.dlrm.model.model_card import (
    CARD_FILE,
    WEIGHTS_FILE,
    ModelCard,
    read_model_card,
    write_model_card,
)
from plumbline.dlrm.model.weight_shapes import check_shapes, weight_shapes
from plumbline.dlrm.tensors.mapped_tensors import shapes_in
from plumbline.dlrm.tensors.tensor_file import read_tensors, write_tensors
from plumbline.dlrm.tensors.tensor_offsets import read_spans


def save_model(folder: Path, model: DLRM, plan_hash: str) -> ModelCard:
    """Write the model to `folder`, replacing an older one."""
    (folder / CARD_FILE).unlink(missing_ok=True)
    sha256 = write_tensors(folder / WEIGHTS_FILE, model.state_dict())
    return write_model_card(folder, model.architecture, plan_hash, sha256)


def load_model(folder: Path) -> DLRM:
    """The model on the CPU, in evaluation mode, its files checked against their hashes.

    Raises
    ------
    ModelError
        A file is missing or changed, or the weights do not fit the architecture.
    """
    card = read_model_card(folder)
    if card.quantized_from is not None:
        raise ModelError.quantized(str(folder / CARD_FILE), "a trained model")
    file = file_inside(folder, WEIGHTS_FILE, ModelError)
    state = read_tensors(file, card.weights_sha256)
    check_shapes(weight_shapes(card.architecture), shapes_in(read_spans(file)), str(file))
    return DLRM.of_weights(card.architecture, state).eval()
