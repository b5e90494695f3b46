"""A closer look at the scores of the test split: curves, the columns that matter, and slices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from plumbline.base.console import progress_bar
from plumbline.columns.unsigned import unsigned_number
from plumbline.dlrm.judgement.importance import (
    columns_to_try,
    permutation_importance,
    rows_to_shuffle,
)
from plumbline.dlrm.judgement.scored_rows import ScoredRows
from plumbline.dlrm.judgement.slices import slices_of
from plumbline.dlrm.metrics.curves import curves_of
from plumbline.dlrm.metrics.pair_counts import PairCounts
from plumbline.dlrm.model.architecture import Architecture
from plumbline.features.plan.plan import OutputColumn, Plan

if TYPE_CHECKING:
    from plumbline.dlrm.score.evaluation import RowScorer

SLICED = 5
"""Columns whose slices are shown: the most important ones."""


def curves_by_model(models: Mapping[str, PairCounts]) -> dict[str, Any]:
    """Each model's curves, as JSON."""
    return {name: asdict(curves_of(pairs)) for name, pairs in models.items()}


def importance_and_slices(
    plan: Plan,
    scorer: RowScorer,
    architecture: Architecture,
    rows: ScoredRows,
    columns: Sequence[Mapping[str, Any]],
    *,
    scored: int,
    seed: int,
) -> dict[str, Any]:
    """Which columns the scores rest on, and the quality where these have certain values, as JSON.

    Both are empty if all or no rows of the sample have a click.

    Parameters
    ----------
    rows
        A sample of the test split.
    columns
        What stage etl found out about each encoded column.
    scored
        The number of rows that the stage has scored, which bounds the work here.

    Raises
    ------
    PlanError
        A vocabulary of the plan is missing or was changed.
    """
    clicks = int(rows.click_B.sum())
    if clicks in (0, len(rows)):  # a sample of very rare clicks
        none = {"rows": 0, "left_out": len(plan.outputs), "columns": []}
        return {"importance": none, "slices": {"rows": len(rows), "columns": []}}
    tried = columns_to_try(architecture, {column["name"]: column["auc"] for column in columns})
    most = rows_to_shuffle(scored, len(tried))
    shuffled = min(most, len(rows))
    with progress_bar("importance", shuffled * len(tried)) as progress:
        importance = permutation_importance(
            scorer, rows, architecture, tried, most_rows=most, seed=seed, progress=progress
        )
    outputs = {column.name: column for column in plan.outputs}
    best = [outputs[one.column] for one in importance[:SLICED]]
    return {
        "importance": {
            "rows": shuffled,
            "left_out": len(outputs) - len(tried),
            "columns": [asdict(one) for one in importance],
        },
        "slices": {
            "rows": len(rows),
            "columns": [
                {"column": column.name, "slices": _slices(plan, column, rows, architecture)}
                for column in best
            ],
        },
    }


def _slices(
    plan: Plan, column: OutputColumn, rows: ScoredRows, architecture: Architecture
) -> list[dict[str, Any]]:
    values = rows.column(architecture, column.name)
    return [asdict(one) for one in slices_of(column, values, rows, _words(plan, column))]


def _words(plan: Plan, column: OutputColumn) -> Callable[[list[int]], dict[int, str]]:
    """For `slices_of`: the raw values of ids, or their numbers where ids are computed."""

    def words(ids: list[int]) -> dict[int, str]:
        if column.id_step.vocabulary_file is None:
            return {id_: f"id {id_}" for id_ in ids}
        vocabulary = plan.vocabulary(column)
        position = np.searchsorted(vocabulary.id.to_numpy(), ids).tolist()
        values = [vocabulary.value[at].as_py() for at in position]
        return {id_: _word(plan, column, value) for id_, value in zip(ids, values, strict=True)}

    return words


def _word(plan: Plan, column: OutputColumn, value: Any) -> str:
    """A value of the vocabulary as it stands in the log."""
    if isinstance(value, dict):
        return ", ".join(
            f"{name} {'(missing)' if part is None else _of_kind(plan, name, part)}"
            for name, part in value.items()
        )
    return _of_kind(plan, column.sources[0], value)


def _of_kind(plan: Plan, name: str, value: Any) -> str:
    is_hex = plan.kinds.get(name, "").startswith("hex") and isinstance(value, int)
    return f"{unsigned_number(value):x}" if is_hex else str(value)
