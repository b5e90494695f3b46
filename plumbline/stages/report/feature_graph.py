"""The feature graph as a drawing: raw columns, the operators on them, and the model's inputs.

Inputs that are made by the same operators of one raw column each are drawn as one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

NAMED = 3
"""Columns that a box names; the others are counted."""

LONGEST = 28
"""Characters of a name in a box."""

CHARACTER, PADDING = 7.0, 10.0
BOX, LANE, GAP = 26.0, 38.0, 34.0
"""Sizes in pixels: a character's width, a box's height, and the room for a box and between two."""


@dataclass(slots=True)
class _Box:
    """A box at a depth, 0 for raw columns, and the boxes that it gets its values from."""

    text: str
    kind: str
    depth: int
    top: float
    sources: list[_Box] = field(default_factory=list)

    @property
    def width(self) -> float:
        return len(self.text) * CHARACTER + 2 * PADDING


class _Layout:
    """Places boxes in columns by their depth; each lane down the page has one raw column."""

    def __init__(self) -> None:
        self.boxes: list[_Box] = []
        self._lanes = 0

    def add(self, group: Sequence[Mapping[str, Any]]) -> None:
        """Inputs of the model that are made in the same way."""
        made = self._tree(group)
        self.boxes.append(_Box(_outputs(group), "output", -1, made.top, [made]))

    def _tree(self, trees: Sequence[Mapping[str, Any]]) -> _Box:
        tree = trees[0]
        if len(trees) > 1 or (len(tree["sources"]) == 1 and isinstance(tree["sources"][0], str)):
            sources = [self._leaf([one["sources"][0] for one in trees])]
        else:
            sources = [
                self._leaf([one]) if isinstance(one, str) else self._tree([one])
                for one in tree["sources"]
            ]
        for operator in tree["operators"]:
            depth = 1 + max(source.depth for source in sources)
            top = sum(source.top for source in sources) / len(sources)
            box = _Box(operator, "operator", depth, top, sources)
            self.boxes.append(box)
            sources = [box]
        return sources[0]

    def _leaf(self, names: Sequence[str]) -> _Box:
        box = _Box(_named(names), "raw", 0, self._lanes * LANE)
        self._lanes += 1
        self.boxes.append(box)
        return box

    @property
    def height(self) -> float:
        return self._lanes * LANE


def feature_graph(features: Sequence[Mapping[str, Any]]) -> Markup:
    """The drawing; screen readers say how many columns there are, and a table has the rest."""
    layout = _Layout()
    for group in _groups(features):
        layout.add(group)
    deepest = max(box.depth for box in layout.boxes) + 1
    for box in layout.boxes:
        box.depth = deepest if box.depth < 0 else box.depth
    widths = [
        max((box.width for box in layout.boxes if box.depth == depth), default=0.0)
        for depth in range(deepest + 1)
    ]
    lefts = [1 + sum(widths[:depth]) + depth * GAP for depth in range(deepest + 1)]
    edges = [
        Markup(
            '<path class="edge" d="M{:.0f} {:.0f}C{:.0f} {:.0f} {:.0f} {:.0f} {:.0f} {:.0f}"/>'
        ).format(*_curve(source, box, lefts))
        for box in layout.boxes
        for source in box.sources
    ]
    boxes = [
        Markup(
            '<rect class="node {}" x="{:.0f}" y="{:.0f}" width="{:.0f}" height="{:.0f}" rx="4"/>'
            '<text x="{:.0f}" y="{:.0f}">{}</text>'
        ).format(
            box.kind,
            lefts[box.depth],
            box.top + 1,
            box.width,
            BOX,
            lefts[box.depth] + PADDING,
            box.top + 18,
            box.text,
        )
        for box in layout.boxes
    ]
    width = lefts[-1] + widths[-1] + 2
    return Markup(
        '<svg class="graph" width="{w:.0f}" height="{h:.0f}" viewBox="0 0 {w:.0f} {h:.0f}" '
        'role="img" aria-labelledby="graph-title"><title id="graph-title">{title}</title>'
        "{edges}{boxes}</svg>"
    ).format(
        w=width,
        h=layout.height,
        title=f"Feature graph: from raw columns through operators to {len(features)} model inputs",
        edges=Markup("").join(edges),
        boxes=Markup("").join(boxes),
    )


def _groups(features: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Inputs of one raw column each with the same operators together; all others alone."""
    groups: dict[Any, list[Mapping[str, Any]]] = {}
    for feature in features:
        sources = feature["sources"]
        is_plain = len(sources) == 1 and isinstance(sources[0], str)
        key = (feature["dtype"], *feature["operators"]) if is_plain else feature["name"]
        groups.setdefault((is_plain, key), []).append(feature)
    return list(groups.values())


def _curve(source: _Box, box: _Box, lefts: Sequence[float]) -> tuple[float, ...]:
    x, y = lefts[source.depth] + source.width, source.top + 1 + BOX / 2
    to_x, to_y = lefts[box.depth], box.top + 1 + BOX / 2
    middle = (x + to_x) / 2
    return x, y, middle, y, middle, to_y, to_x, to_y


def _outputs(group: Sequence[Mapping[str, Any]]) -> str:
    kind = {"int64": "ids", "list<int64>": "lists of ids", "float32": "numbers"}[group[0]["dtype"]]
    return f"{_named([feature['name'] for feature in group])}: {kind}"


def _named(names: Sequence[str]) -> str:
    if len(names) == 1:
        return _shortened(names[0])
    shown = ", ".join(_shortened(name) for name in names[: NAMED - 1])
    if len(names) <= NAMED:
        return ", ".join(_shortened(name) for name in names)
    return f"{len(names):,} columns: {shown}, …, {_shortened(names[-1])}"


def _shortened(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
