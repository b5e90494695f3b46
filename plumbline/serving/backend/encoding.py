"""The feature step: raw columns to ids and dense features, by the plan's online executor.

Legend: B rows, F columns with one id a row, L list columns, C continuous columns.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from plumbline.columns.list_bytes import pack
from plumbline.columns.wire import Tensors, require_finite
from plumbline.features.encoding.encoder import Encoded
from plumbline.features.encoding.online import OnlineExecutor
from plumbline.features.plan.plan import Plan, read_plan
from plumbline.serving.backend.served_version import ServedVersion
from plumbline.serving.contract.interface import DENSE, IDS, LIST_IDS, check_raw_parameters

PLAN_FOLDER = "plan"
"""Where the plan lies inside a model's version folder."""

Encode = Callable[[Tensors], Encoded]


def load_encoding(version: ServedVersion) -> tuple[Encode, Plan]:
    """Load the plan of a served version; its files are checked against their hashes.

    What it gives refuses numbers that are infinite in float32 (PlanError), as the ingest does.

    Raises
    ------
    PlanError
        A missing or changed file, or a plan that does not fit the model's config.
    """
    plan = read_plan(version.folder / PLAN_FOLDER)
    check_raw_parameters(plan, version.parameters)
    executor = OnlineExecutor(plan)

    def encode(tensors: Tensors) -> Encoded:
        encoded = executor.transform(tensors)
        require_finite(tensors, executor.columns)
        return encoded

    return encode, plan


def to_encoded_tensors(encoded: Encoded) -> Tensors:
    """Encoded rows as they travel from step to step; a tensor without columns is left out."""
    tensors: Tensors = {}
    if encoded.ids_BF.shape[1]:
        tensors[IDS] = np.ascontiguousarray(encoded.ids_BF)
    if encoded.bags:
        tensors[LIST_IDS] = np.column_stack([pack(bag) for bag in encoded.bags])
    if encoded.dense_BC.shape[1]:
        tensors[DENSE] = np.ascontiguousarray(encoded.dense_BC)
    return tensors
