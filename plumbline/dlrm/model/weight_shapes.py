"""Names, shapes and dtypes of a model's tensors, as `DLRM.state_dict` gives them. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.model.architecture import Architecture

Form: TypeAlias = tuple[tuple[int, ...], np.dtype[Any]]

ROW_DTYPES: dict[str, np.dtype[Any]] = {"fp32": np.dtype(np.float32), "bf16": np.dtype(np.uint16)}
"""Of the tables: bfloat16 is given as its bits."""


def check_forms(architecture: Architecture, weights: Mapping[str, NDArray[Any]], file: str) -> None:
    """Raises ModelError, naming `file`, where the tensors are not those of the architecture."""
    wanted = weight_forms(architecture)
    came = {name: (tensor.shape, tensor.dtype) for name, tensor in weights.items()}
    if wanted != came:
        name = min(key for key in wanted | came if wanted.get(key) != came.get(key))
        raise ModelError.unreadable(
            file, f"{name}: wanted {_text(wanted.get(name))}, found {_text(came.get(name))}"
        )


def weight_forms(architecture: Architecture) -> dict[str, Form]:
    """Shape and dtype of each tensor by its name."""
    rows = (sum(architecture.cardinalities), architecture.embedding_dim)
    forms: dict[str, Form] = {"tables.weight": (rows, ROW_DTYPES[architecture.embedding_rows])}
    hidden = (architecture.top_input, *architecture.top_mlp)
    for name, widths in (
        ("bottom", (len(architecture.continuous), *architecture.bottom_mlp)),
        ("top", hidden),
    ):
        for place, (inputs, outputs) in enumerate(pairwise(widths)):
            forms |= _layer(f"{name}.{place}", inputs, outputs)
    return forms | _layer("last", hidden[-1], 1)


def _layer(name: str, inputs: int, outputs: int) -> dict[str, Form]:
    single: np.dtype[Any] = np.dtype(np.float32)
    return {f"{name}.weight": ((outputs, inputs), single), f"{name}.bias": ((outputs,), single)}


def _text(form: Form | None) -> str:
    return "none" if form is None else f"{form[0]} {form[1].name}"
