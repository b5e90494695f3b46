"""Appending a day to a fitted plan: what it goes on from, and the steps to which no day can be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plumbline.base.errors import PlanError
from plumbline.columns.keys import part_values
from plumbline.features.fitting.nodes import Node, nodes
from plumbline.features.lookup.tables import Tables
from plumbline.features.plan.plan import Plan
from plumbline.features.plan.unfitted import UnfittedColumn, UnfittedPlan
from plumbline.features.steps.chains import Chain
from plumbline.features.steps.fit_step import Before, FitStep
from plumbline.features.steps.step import Step


@dataclass(frozen=True, slots=True)
class Earlier:
    """The plan of the rows so far, and the folder of its statistics."""

    plan: Plan
    statistics: Path

    def outputs(self, unfitted: UnfittedPlan) -> tuple[UnfittedColumn, ...]:
        """The columns of the unfitted plan that the fitted one has kept."""
        kept = {column.name for column in self.plan.outputs}
        return tuple(column for column in unfitted.outputs if column.name in kept)

    def steps(self, unfitted: UnfittedPlan) -> dict[Node, Before]:
        """The fitted step of each step to fit."""
        tables = Tables(self.plan.folder)
        fitted = {column.name: column.chain for column in self.plan.outputs}
        return {
            node: Before(step, self.plan.folder, tables)
            for column in self.outputs(unfitted)
            for node, step in _pairs(column.chain, fitted[column.name])
        }


def _pairs(unfitted: Chain, fitted: Chain) -> Iterator[tuple[Node, Step]]:
    """Each step to fit of a chain and of its sources, and the fitted step at its place."""
    for one, other in zip(unfitted.sources, fitted.sources, strict=True):
        if isinstance(one, Chain) and isinstance(other, Chain):
            yield from _pairs(one, other)
    for index, (step, found) in enumerate(zip(unfitted.steps, fitted.fitted, strict=True)):
        if isinstance(step, FitStep):
            yield Node.at(unfitted, index, step), found


def refuse_what_cannot_be_appended(plan: UnfittedPlan) -> None:
    """Raises PlanError, by the names of column and operator, if no day can be appended to a step.

    A step that learns from the result of another one has learned from what that gave for the old
    rows, and it would give other numbers for them now.
    """
    remedy = "Set append.statistics to frozen, or start a new run with all days."
    for column in plan.outputs:
        for node in nodes([column.chain]):
            step = node.step
            if step.not_appended is not None:
                raise PlanError(
                    f"Column {column.name!r}: no day can be appended to {step.operator}: "
                    f"{step.not_appended}. {remedy}"
                )
            for inner in nodes(node.reads):
                if inner.step.reads_rows and not inner.step.stays and step.reads_rows:
                    raise PlanError(
                        f"Column {column.name!r}: no day can be appended to {step.operator}, which "
                        f"learns from the result of {inner.step.operator}: a new day changes what "
                        f"that gives for the old rows, and those are not read again. {remedy}"
                    )


def ids_before(before: Plan, plan: Plan) -> dict[str, NDArray[np.int64]]:
    """Output to the ids that its new values had by the plan `before`, (N,), by their new ids.

    Only outputs with new ids are in it.
    """
    tables, found = Tables(before.folder), {}
    for old, new in zip(before.categorical, plan.categorical, strict=True):
        known = old.id_step.known
        if new.id_step.known > known:
            added = [part.slice(known) for part in plan.vocabulary(new).parts]
            found[new.name] = old.id_step.bind(tables)(*map(part_values, added))
    return found
