"""Compile a workflow to a feature plan: an unfitted workflow to an unfitted plan."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path

from plumbline.base.errors import PlanError
from plumbline.columns.kinds import CLICK, FeatureKind
from plumbline.features.fitting.fit import fitted_outputs, targets_of
from plumbline.features.plan.plan import InputColumn, OutputColumn
from plumbline.features.plan.unfitted import UnfittedColumn, UnfittedPlan
from plumbline.nvtabular.columns import fit_schema
from plumbline.nvtabular.graph_walker import GraphWalker, is_click, output_chain
from plumbline.nvtabular.library import Workflow
from plumbline.nvtabular.operators.drop_low_cardinality import refuse_dropped
from plumbline.nvtabular.patched import patched
from plumbline.nvtabular.subgraphs import has_subgraphs, inline_subgraphs


def compile_unfitted(workflow: Workflow, kinds: Mapping[str, FeatureKind]) -> UnfittedPlan:
    """Compile a workflow to a plan that an engine can fit.

    The inputs are the columns of `kinds` that the workflow uses, in the order of `kinds`. The
    outputs are the workflow's, in its order, without the click.

    Raises
    ------
    UnsupportedOperator
        An operator, a parameter, or an order of operators that has no compiled form.
    PlanError
        The workflow uses a column that is not a feature, or one that does not exist.
    """
    refuse_dropped(workflow)
    return _plan(GraphWalker(kinds, fitted=False), with_schema(workflow, kinds), kinds)


def with_schema(workflow: Workflow, kinds: Mapping[str, FeatureKind]) -> Workflow:
    """A patched copy of a workflow that is not fitted, with the schemas of these columns.

    If the workflow has a schema already, the copy has its outputs: none that `remove_inputs` has
    removed.

    Raises
    ------
    UnknownColumn
        The workflow selects or subtracts a column that does not exist.
    """
    result = fit_schema(patched(workflow), kinds)
    if workflow.output_schema is None:
        return result
    outputs = result.output_schema.column_names
    # Merlin's `remove_inputs` may cut off a branch, and leave its outputs in the schema.
    names = [name for name in workflow.output_schema.column_names if name in outputs]
    if outputs == names:
        return result
    return fit_schema(Workflow(result.output_node[names]), kinds)


def compile_fitted(
    workflow: Workflow, kinds: Mapping[str, FeatureKind], folder: Path
) -> tuple[tuple[InputColumn, ...], tuple[OutputColumn, ...]]:
    """Compile a fitted workflow to the inputs and outputs that `write_plan` takes.

    They are the columns that `compile_unfitted` has. The steps' files are written into the plan's
    `folder`.

    Raises
    ------
    UnsupportedOperator
        An operator, a parameter, or an order of operators that has no compiled form.
    PlanError
        The workflow is not fitted, or uses a column that is not a feature.
    DataError
        Statistics that are not finite.
    """
    if workflow.output_schema is None:
        raise PlanError("The workflow is not fitted: fit it on the training split, then compile.")
    if has_subgraphs(workflow):
        workflow = copy.deepcopy(workflow)
        inline_subgraphs(workflow)
    walker = GraphWalker(kinds, fitted=True)
    plan = _plan(walker, workflow, kinds)
    targets = targets_of(plan, {**kinds, CLICK: "integer"}, folder)
    learned = {node: walker.readers[node](target) for node, target in targets.items()}
    return plan.inputs, tuple(output for output, _ in fitted_outputs(plan, learned))


def _plan(
    walker: GraphWalker, workflow: Workflow, kinds: Mapping[str, FeatureKind]
) -> UnfittedPlan:
    outputs = []
    for name, column in walker.outputs(workflow).items():
        if not is_click(name, column):
            outputs.append(UnfittedColumn(name, output_chain(name, column, kinds), column.minimum))
    used = {column for output in outputs for column in output.chain.columns}
    inputs = tuple(InputColumn(name, kind) for name, kind in kinds.items() if name in used)
    return UnfittedPlan(inputs, tuple(outputs), tuple(walker.conditions))
