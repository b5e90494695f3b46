"""Subgraph: a named part of a graph, which `get_subworkflow` returns. It computes nothing."""

from __future__ import annotations

import copy
from typing import Any

from plumbline.nvtabular.errors import UnsupportedOperator
from plumbline.nvtabular.library import Subgraph, Workflow, iter_nodes


def has_subgraphs(workflow: Workflow) -> bool:
    return any(isinstance(node.op, Subgraph) for node in iter_nodes([workflow.output_node]))


def inline_subgraphs(workflow: Workflow) -> None:
    """Put the nodes of every Subgraph in its place. Changes the workflow's nodes.

    Raises
    ------
    UnsupportedOperator
        A Subgraph has `loop_until`.
    """
    graph = workflow.graph
    graph.output_node = _inlined(graph.output_node)
    graph.subgraphs = {}


def _inlined(output: Any) -> Any:
    output = _contents(output)
    for node in iter_nodes([output]):
        node.parents = [_child(_contents(parent), node) for parent in node.parents]
        node.dependencies = [
            [_child(_contents(one), node) for one in dependency]
            if isinstance(dependency, list)
            else _child(_contents(dependency), node)
            for dependency in node.dependencies
        ]
    return output


def _contents(node: Any) -> Any:
    """The output node of a Subgraph's graph; any other node itself."""
    if not isinstance(node.op, Subgraph):
        return node
    if node.op.loop_until is not None:
        raise UnsupportedOperator.in_workflow(
            "Subgraph(loop_until=…)", node.op.name, "Write out the operators that it repeats."
        )
    output = _inlined(node.op.graph.output_node)
    if not node.parents:
        return output
    output = copy.deepcopy(output)  # its selections may be parts of the workflow too
    for leaf in list(iter_nodes([output])):
        if not leaf.parents_with_dependencies:
            leaf.parents = [_child(_contents(parent), leaf) for parent in node.parents]
    return output


def _child(parent: Any, node: Any) -> Any:
    if node not in parent.children:
        parent.children.append(node)
    return parent
