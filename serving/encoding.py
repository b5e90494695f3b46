"""The feature step: raw columns to ids and dense features, by the plan's online executor."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from features.online import OnlineExecutor
from features.plan import read_plan
from features.wire import Tensors
from serving.batching import Run
from serving.interface import DENSE, IDS, check_raw_parameters

PLAN_FOLDER = "plan"
"""Where the plan lies inside a model's version folder."""


def load_encoding(folder: Path, parameters: Mapping[str, str]) -> Run:
    """Load the plan of a version folder; its files are checked against their hashes.

    Raises
    ------
    PlanError
        A missing or changed file, or a plan that does not fit the model's config.
    """
    plan = read_plan(folder / PLAN_FOLDER)
    check_raw_parameters(plan, parameters)
    executor = OnlineExecutor(plan)

    def run(tensors: Tensors) -> Tensors:
        encoded = executor.transform(tensors)
        outputs: Tensors = {IDS: encoded.ids_BF, DENSE: encoded.dense_BC}
        return {name: tensor for name, tensor in outputs.items() if tensor.shape[1]}

    return run
