"""The graph that a configuration names, for the columns of a log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from plumbline.base.errors import ConfigError
from plumbline.base.printable import one_line
from plumbline.columns.kinds import FeatureKind
from plumbline.features.plan.unfitted import UnfittedPlan
from plumbline.nvtabular.compile import compile_unfitted
from plumbline.nvtabular.errors import UnknownColumn
from plumbline.nvtabular.graph_file import graph_function
from plumbline.nvtabular.graph_options import keyword_arguments
from plumbline.nvtabular.library import Node, Subgraph, Workflow
from plumbline.settings import WorkflowSettings


@dataclass(frozen=True, slots=True)
class Graph:
    """A workflow that is not fitted yet, and the plan that it compiles to."""

    workflow: Workflow
    plan: UnfittedPlan


def build(
    settings: WorkflowSettings, kinds: Mapping[str, FeatureKind], training_rows: int
) -> Graph:
    """Call the graph's function for these columns, and compile what it returns.

    Raises
    ------
    ConfigError
        The file, the module or the function does not exist or fails, an option is unknown or has
        another type, or the function does not return a graph of these columns.
    UnsupportedOperator
        An operator, a parameter, or an order of operators that has no compiled form.
    """
    with graph_function(settings.graph) as graph:
        arguments = keyword_arguments(graph.function, settings.options, training_rows, graph.where)
        workflow = graph.run(lambda: graph.function(dict(kinds), **arguments))
        if isinstance(workflow, (Node, Subgraph)):
            workflow = graph.run(partial(Workflow, workflow))
        if not isinstance(workflow, Workflow):
            raise ConfigError(
                f"{graph.where}: wanted the function to return nodes, such as ['price'] >> "
                f"ops.Normalize(), or an nvtabular.Workflow, got {_shown(workflow)}."
            )
        try:
            plan = graph.run(lambda: compile_unfitted(workflow, kinds))
        except UnknownColumn as error:
            text = str(error)
            raise ConfigError(f"{graph.where}: {text[0].lower()}{text[1:]}") from None
        if not plan.outputs:
            raise ConfigError(f"{graph.where}: the graph has no output besides the click.")
    return Graph(workflow, plan)


def _shown(value: object) -> str:
    """The type of a value and its repr, which is left out if it is an address."""
    if value is None:
        return "None"
    text = one_line(repr(value), 60)
    return type(value).__name__ + ("" if text.startswith("<") else f" {text}")
