"""The feature step: raw columns to ids and dense features, by the plan's online executor."""

from __future__ import annotations

from collections.abc import Callable

from plumbline.columns.wire import Tensors, require_finite
from plumbline.features.encoding.encoder import Encoded
from plumbline.features.encoding.online import OnlineExecutor
from plumbline.features.plan.plan import Plan, read_plan
from plumbline.serving.backend.served_version import ServedVersion
from plumbline.serving.contract.interface import check_raw_parameters
from plumbline.serving.contract.versions import PLAN_FOLDER

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
