"""The interface of the served models: names, tensors, and the parameters in their configs.

| model | inputs | outputs |
|---|---|---|
| `ctr_features` | raw columns, as in `plumbline.columns.wire` | `ids`, `list_ids`, `dense` |
| `ctr_dlrm` | `ids`, `list_ids`, `dense` | `click_probability` |
| `ctr` | raw columns; the ensemble of the two above | `click_probability` |
| `ctr_fused` | raw columns; one model | `click_probability` |

`ids` is int64 (B, F), `dense` float32 (B, C), both in plan order. `list_ids` is bytes (B, L): each
element is a row's list of ids, encoded by `plumbline.columns.list_bytes`. `click_probability` is
float32 (B, 1). A tensor without columns is left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast, get_args

from plumbline.base.errors import PlanError
from plumbline.base.json_text import parse_json
from plumbline.base.manifest import differences
from plumbline.columns.kinds import FeatureKind
from plumbline.columns.wire import (
    CATEGORICAL_BYTES,
    CATEGORICAL_INT64,
    CONTINUOUS,
    LIST_BYTES,
    LIST_INT64,
    NULL_BYTES,
    NULL_INT64,
    WireColumns,
)
from plumbline.features.plan.plan import Plan
from plumbline.serving.errors import ServerError

FEATURES_MODEL = "ctr_features"
DLRM_MODEL = "ctr_dlrm"
ENSEMBLE_MODEL = "ctr"
FUSED_MODEL = "ctr_fused"
MODELS = (FEATURES_MODEL, DLRM_MODEL, ENSEMBLE_MODEL, FUSED_MODEL)

IDS = "ids"
LIST_IDS = "list_ids"
DENSE = "dense"
CLICK_PROBABILITY = "click_probability"

PLAN_HASH = "plan_hash"
MODEL_HASH = "model_hash"
KINDS = "kinds"
LOG = "log"
"""The settings that the log was read with, as JSON."""
TABLES = "tables"
"""The same for each side table, with the hash of its file; see `log_rules` beside this file."""
PRECISION = "precision"
THREADS = "threads"
MAX_QUEUE_SIZE = "max_queue_size"
QUEUE_TIMEOUT_MS = "queue_timeout_ms"
DRIFT_COLUMNS = "drift"
"""How many columns; no name that ends in `_columns`, as those of tensors do."""
FORCE_CPU_INPUTS = "FORCE_CPU_ONLY_INPUT_TENSORS"
"""Of Triton's Python backend: whether inputs come in the memory of the CPU."""

_NULLS = {
    CONTINUOUS: "NaN",
    CATEGORICAL_INT64: str(NULL_INT64),
    CATEGORICAL_BYTES: NULL_BYTES.decode(),
    LIST_INT64: NULL_BYTES.decode(),
    LIST_BYTES: NULL_BYTES.decode(),
}

_ELEMENTS = {
    LIST_INT64: f"little-endian int64, null is {NULL_INT64}",
    LIST_BYTES: "little-endian uint32 length and UTF-8 bytes, null is length 0",
    LIST_IDS: "little-endian int64",
}
"""How the elements of a list are encoded; they follow one another without gaps."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of shape (B, number of columns); `data_type` is Triton's, with `TYPE_` in front."""

    name: str
    data_type: str
    columns: tuple[str, ...]
    padded: bool = False
    """Whether there is a third dimension, the length of the longest list."""


PROBABILITY = Tensor(CLICK_PROBABILITY, "TYPE_FP32", (CLICK_PROBABILITY,))


def raw_tensors(plan: Plan) -> tuple[Tensor, ...]:
    """The tensors of a plan's raw columns."""
    columns = wire_columns(plan)
    return _with_columns(
        Tensor(CONTINUOUS, "TYPE_FP32", columns.continuous),
        Tensor(CATEGORICAL_INT64, "TYPE_INT64", columns.integer),
        Tensor(CATEGORICAL_BYTES, "TYPE_STRING", columns.string),
        Tensor(LIST_INT64, "TYPE_STRING", columns.integer_list),
        Tensor(LIST_BYTES, "TYPE_STRING", columns.string_list),
    )


def encoded_tensors(plan: Plan) -> tuple[Tensor, ...]:
    """The tensors between `ctr_features` and `ctr_dlrm`: ids, never embeddings."""
    single = tuple(column.name for column in plan.categorical if not column.is_list)
    lists = tuple(column.name for column in plan.categorical if column.is_list)
    return _with_columns(
        Tensor(IDS, "TYPE_INT64", single),
        Tensor(LIST_IDS, "TYPE_STRING", lists),
        Tensor(DENSE, "TYPE_FP32", tuple(column.name for column in plan.continuous)),
    )


def wire_columns(plan: Plan) -> WireColumns:
    return WireColumns.of(plan.kinds)


def raw_parameters(plan: Plan) -> dict[str, str]:
    """The config parameters of a model whose inputs are raw columns.

    Lists and mappings are JSON: `<tensor>_columns` is a list, `kinds` maps column to kind in plan
    order. `<tensor>_null` is the value that means null. `<tensor>_elements` describes the bytes of
    a list.
    """
    parameters: dict[str, str] = {}
    for tensor in raw_tensors(plan):
        parameters |= _tensor_parameters(tensor)
        parameters[f"{tensor.name}_null"] = _NULLS[tensor.name]
    parameters[KINDS] = json.dumps(plan.kinds)
    parameters[PLAN_HASH] = plan.content_hash
    return parameters


def encoded_parameters(plan: Plan) -> dict[str, str]:
    """The config parameters of a model whose inputs or outputs are encoded columns."""
    parameters = {PLAN_HASH: plan.content_hash}
    for tensor in encoded_tensors(plan):
        parameters |= _tensor_parameters(tensor)
    return parameters


def _tensor_parameters(tensor: Tensor) -> dict[str, str]:
    parameters = {f"{tensor.name}_columns": json.dumps(tensor.columns)}
    if tensor.name in _ELEMENTS:
        parameters[f"{tensor.name}_elements"] = _ELEMENTS[tensor.name]
    return parameters


def read_wire_columns(model: str, parameters: Mapping[str, str]) -> WireColumns:
    """The raw columns of a served model, from its config parameters.

    Raises
    ------
    ServerError
        Plumbline did not export the model, or its inputs are not raw columns.
    """
    try:
        kinds = parse_json(parameters[KINDS])
        if not isinstance(kinds, dict):
            raise ValueError("kinds are an object")
    except (KeyError, ValueError):
        raise ServerError(
            f"Model {model!r}: its config has no readable parameter {KINDS!r}, so it takes no raw "
            f"columns. Use {FUSED_MODEL!r}, {ENSEMBLE_MODEL!r} or {FEATURES_MODEL!r}."
        ) from None
    known = get_args(FeatureKind)
    for name, kind in kinds.items():
        if kind not in known:
            raise ServerError(
                f"Model {model!r}: column {name!r} is of kind {kind!r}, but this Plumbline knows "
                f"{', '.join(known)}. Upgrade the client."
            )
    return WireColumns.of(cast("dict[str, FeatureKind]", kinds))


def check_raw_parameters(plan: Plan, parameters: Mapping[str, str]) -> None:
    """Raises PlanError if a model's config does not describe the columns of its plan."""
    wanted = raw_parameters(plan)
    different = differences(wanted, {k: parameters[k] for k in wanted if k in parameters})
    if different:
        raise PlanError(
            f"{plan.folder}: the plan does not fit the model's config ({'; '.join(different)}). "
            "Export the model repository again."
        )


def _with_columns(*tensors: Tensor) -> tuple[Tensor, ...]:
    return tuple(tensor for tensor in tensors if tensor.columns)
