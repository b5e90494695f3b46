"""The features: from raw columns through operators to the model's inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plumbline.stages.report.blocks import Section, Table
from plumbline.stages.report.feature_graph import feature_graph
from plumbline.stages.report.templates import rendered
from plumbline.stages.report.texts import count


def features(report: Mapping[str, Any]) -> Section:
    found = report["features"]
    rows = [[one["name"], one["dtype"], count(one["cardinality"]), formula(one)] for one in found]
    table = Table(
        "How each input is made", ["Model input", "Type", "Ids", "Made by"], rows, 4, True
    )
    inputs = "one model input" if len(found) == 1 else f"{len(found):,} model inputs"
    return Section(
        "features",
        "Features",
        texts=[f"The plan makes {inputs}, in training and in the server alike."],
        top=rendered("graph.html.jinja", drawing=feature_graph(found)),
        tables=[table],
    )


def formula(tree: Mapping[str, Any]) -> str:
    """A tree of sources and operators in one line.

    >>> formula({"sources": ["price"], "operators": ["fill_missing", "log"]})
    'price → fill_missing → log'
    >>> formula({"sources": ["a", {"sources": ["b"], "operators": ["log"]}], "operators": ["add"]})
    '(a, b → log) → add'
    """
    sources = [one if isinstance(one, str) else formula(one) for one in tree["sources"]]
    start = sources[0] if len(sources) == 1 else f"({', '.join(sources)})"
    return " → ".join([start, *tree["operators"]])
