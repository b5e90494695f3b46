"""What the plan makes of rows: the ids and numbers of its outputs, and which values are unseen.

Legend: B rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline.base.errors import PlanError
from plumbline.columns.kinds import FeatureKind
from plumbline.columns.values import Lists
from plumbline.columns.wire import require_finite
from plumbline.features.encoding.encoder import Encoded
from plumbline.features.plan.plan import OutputColumn, Plan
from plumbline.features.steps.step import IdStep
from plumbline.serving.gateway.page.served_plan import ServedPlan

_TRIALS = 4
_TEXTS = [f"unseen value {trial}" for trial in range(_TRIALS)]
_INTEGERS = [987_654_321_098_765 + trial for trial in range(_TRIALS)]
_HEX = [f"fedcba987654321{trial}" for trial in range(_TRIALS)]
_UNUSUAL: Mapping[FeatureKind, Sequence[Any]] = {
    "string": _TEXTS,
    "integer": _INTEGERS,
    "hex": _HEX,
    "string_list": [[one] for one in _TEXTS],
    "integer_list": [[one] for one in _INTEGERS],
    "hex_list": [[one] for one in _HEX],
}
"""Values that hardly any vocabulary has."""


def explained(opened: ServedPlan, rows: Sequence[Any]) -> list[dict[str, Any]]:
    """Each output of the plan for B rows, in plan order.

    | key | value |
    |---|---|
    | `name`, `sources` | the output's, and the raw columns that it is made of |
    | `numbers` | of an output of numbers: float32 (B,); null if missing or not finite |
    | `ids` | of an output of ids: an id a row, or a list of ids a row |
    | `unseen`, `missing` | for each id: whether the vocabulary lacks the value, or it is missing |
    | `known` | the number of values in the vocabulary; 0 if ids are computed |

    Raises
    ------
    PlanError
        The rows do not fit the model.
    """
    tensors = opened.served.tensors(rows)
    require_finite(tensors, opened.executor.columns)
    encoded = opened.executor.transform(tensors)
    return [
        {"name": output.name, "sources": list(output.sources), **_told(output, values)}
        for output, values in _by_output(opened.plan, encoded)
    ]


def unseen_values(opened: ServedPlan) -> dict[str, Any]:
    """Column to a value in JSON's form that its vocabulary lacks; without those that have none."""
    kinds = opened.served.kinds
    candidates = {name: _UNUSUAL[kind] for name, kind in kinds.items() if kind in _UNUSUAL}
    rows = [
        {name: candidates[name][trial] if name in candidates else None for name in kinds}
        for trial in range(_TRIALS)
    ]
    try:
        outputs = explained(opened, rows)
    except PlanError:  # a log's rules may refuse such values
        return {}
    found = {}
    for output in outputs:
        is_unseen = [bool(np.any(one)) for one in output.get("unseen", ())]
        (name, *others) = output["sources"]
        if not others and name in candidates and output.get("known") and any(is_unseen):
            form = candidates[name][is_unseen.index(True)]
            found[name] = form[0] if isinstance(form, list) else form
    return found


def _by_output(plan: Plan, encoded: Encoded) -> Iterator[tuple[OutputColumn, Any]]:
    ids, dense = iter(encoded.ids_BF.T), iter(encoded.dense_BC.T)
    values = {"int64": ids, "float32": dense, "list<int64>": iter(encoded.bags)}
    for output in plan.outputs:
        yield output, next(values[output.dtype])


def _told(output: OutputColumn, values: Any) -> dict[str, Any]:
    if not output.is_categorical:
        finite = np.isfinite(values)
        numbers = values.tolist()
        return {"numbers": [n if ok else None for n, ok in zip(numbers, finite, strict=True)]}
    step = output.id_step
    if isinstance(values, Lists):
        flat, bounds = values.values, values.offsets[1:-1]
        told = {key: np.split(one, bounds) for key, one in _flags(step, flat).items()}
        lists = {key: [part.tolist() for part in parts] for key, parts in told.items()}
        return {**lists, "known": step.known}
    flags = {key: one.tolist() for key, one in _flags(step, values).items()}
    return {**flags, "known": step.known}


def _flags(step: IdStep, ids: Any) -> dict[str, NDArray[Any]]:
    unseen = step.unseen_ids
    is_looked_up = len(unseen) > 0
    return {
        "ids": ids,
        "unseen": (ids >= unseen.start) & (ids < unseen.stop),
        "missing": (ids == step.null_id) & is_looked_up,
    }
