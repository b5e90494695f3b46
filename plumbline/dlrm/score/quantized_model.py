"""A model folder in int8, written from a trained one."""

from __future__ import annotations

from pathlib import Path

import torch

from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.model.model_card import (
    CARD_FILE,
    WEIGHTS_FILE,
    ModelCard,
    read_model_card,
    write_model_card,
)
from plumbline.dlrm.model.weight_shapes import check_shapes, weight_shapes
from plumbline.dlrm.score.quantization import quantized_weights
from plumbline.dlrm.tensors.mapped_tensors import map_tensors, shapes_of
from plumbline.dlrm.tensors.tensor_file import write_tensors


def write_quantized_model(trained: Path, folder: Path) -> ModelCard:
    """Write the trained model in int8 to `folder`, replacing an older one.

    The result depends on the trained weights alone. The tables take a quarter of their bytes in
    float32, and four bytes a row.

    Raises
    ------
    ModelError
        A file of the model is missing or changed, or the model is quantized already.
    """
    card = read_model_card(trained)
    if card.quantized_from is not None:
        raise ModelError.quantized(str(trained / CARD_FILE), "a trained model")
    weights = map_tensors(trained / WEIGHTS_FILE, card.weights_sha256)
    check_shapes(weight_shapes(card.architecture), shapes_of(weights), str(trained / WEIGHTS_FILE))
    quantized = quantized_weights(card.architecture, weights)
    (folder / CARD_FILE).unlink(missing_ok=True)
    tensors = {name: torch.from_numpy(values) for name, values in quantized.items()}
    sha256 = write_tensors(folder / WEIGHTS_FILE, tensors)
    return write_model_card(folder, card.architecture, card.plan_hash, sha256, card.model_hash)
