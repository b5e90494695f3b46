"""Names, shapes and dtypes of a model's tensors: trained, as in `DLRM.state_dict`, and in int8.

Needs no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.tensors.mapped_tensors import TensorShape

ROW_DTYPES: dict[str, np.dtype[Any]] = {"fp32": np.dtype(np.float32), "bf16": np.dtype(np.uint16)}
"""Dtypes of the tables; bfloat16 is represented by its bits."""


def check_shapes(
    wanted: Mapping[str, TensorShape], got: Mapping[str, TensorShape], file: str
) -> None:
    """Raises ModelError, naming `file`, if the tensors are not those wanted."""
    if wanted != got:
        name = min(key for key in {**wanted, **got} if wanted.get(key) != got.get(key))
        raise ModelError.unreadable(
            file, f"{name}: wanted {_text(wanted.get(name))}, found {_text(got.get(name))}"
        )


def weight_shapes(architecture: Architecture) -> dict[str, TensorShape]:
    """Shape and dtype of each tensor by its name."""
    rows = (sum(architecture.cardinalities), architecture.embedding_dim)
    shapes: dict[str, TensorShape] = {
        "tables.weight": (rows, ROW_DTYPES[architecture.embedding_rows])
    }
    if architecture.bag_positions is not None:
        for number in range(len(architecture.bags)):
            shapes[f"tables.position_weights.{number}"] = (
                (architecture.bag_positions,),
                np.dtype(np.float32),
            )
    hidden = (architecture.top_input, *architecture.top_mlp)
    for name, widths in (
        ("bottom", (len(architecture.continuous), *architecture.bottom_mlp)),
        ("top", hidden),
    ):
        for number, (inputs, outputs) in enumerate(pairwise(widths)):
            shapes |= _layer(f"{name}.{number}", inputs, outputs)
    return shapes | _layer("last", hidden[-1], 1)


def int8_layers(architecture: Architecture) -> tuple[str, ...]:
    """Names of the layers that int8 quantizes: all but the first bottom layer and the last one."""
    bottom = [f"bottom.{number}" for number in range(1, len(architecture.bottom_mlp))]
    return (*bottom, *(f"top.{number}" for number in range(len(architecture.top_mlp))))


def int8_shapes(architecture: Architecture) -> dict[str, TensorShape]:
    """Of the quantized form: int8 weights, with a float32 scale for each row of the tables and each
    output of a layer."""
    shapes = weight_shapes(architecture)
    for name in ("tables", *int8_layers(architecture)):
        shape, _ = shapes[f"{name}.weight"]
        shapes[f"{name}.weight"] = (shape, np.dtype(np.int8))
        shapes[f"{name}.scale"] = (shape[:1], np.dtype(np.float32))
    return shapes


def _layer(name: str, inputs: int, outputs: int) -> dict[str, TensorShape]:
    single: np.dtype[Any] = np.dtype(np.float32)
    return {f"{name}.weight": ((outputs, inputs), single), f"{name}.bias": ((outputs,), single)}


def _text(shape: TensorShape | None) -> str:
    return "none" if shape is None else f"{shape[0]} {shape[1].name}"
