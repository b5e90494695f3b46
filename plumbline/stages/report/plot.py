"""Plots as SVG, drawn here: text stays text, and colours are those of the page, light or dark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from markupsafe import Markup

from plumbline.stages.report.axes import Axis

WIDTH, HEIGHT = 420, 260
LEFT, RIGHT, TOP, BOTTOM = 52, 20, 26, 44
"""Margins around the drawing, in units of the view box, which are about pixels."""

KINDS = 6
"""Colours of lines and bars, classes k0 to k5 of the page's style; lines differ in dashes too."""


class Plot:
    """Lines, bars and points over two axes; what is drawn later lies on top.

    `kind` is the colour, from 0 to `KINDS` - 1.
    """

    def __init__(self, x: Axis, y: Axis) -> None:
        self._x, self._y = x, y
        self._parts: list[Markup] = []

    def line(self, points: Iterable[Sequence[float]], kind: int = 0) -> None:
        """A line through the points, x and y each."""
        drawn = " ".join(f"{self._left(x):.1f},{self._top(y):.1f}" for x, y in points)
        self._add('<polyline class="line k{}" points="{}"/>', kind, drawn)

    def guide(self, points: Iterable[tuple[float, float]]) -> None:
        """A thin line that says what would be right."""
        drawn = " ".join(f"{self._left(x):.1f},{self._top(y):.1f}" for x, y in points)
        self._add('<polyline class="guide" points="{}"/>', drawn)

    def points(self, points: Iterable[tuple[float, float]], kind: int = 0) -> None:
        for x, y in points:
            self._add(
                '<circle class="point k{}" cx="{:.1f}" cy="{:.1f}" r="3.5"/>',
                kind,
                self._left(x),
                self._top(y),
            )

    def spans(self, spans: Iterable[tuple[float, float, float]], kind: int = 0) -> None:
        """Upright strokes: x, and the lower and the upper y."""
        for x, low, high in spans:
            self._add(
                '<path class="span k{}" d="M{:.1f} {:.1f}V{:.1f}"/>',
                kind,
                self._left(x),
                self._top(low),
                self._top(high),
            )

    def bars(self, bars: Iterable[tuple[float, float, float, float]], kind: int = 0) -> None:
        """Upright bars: from x to x, from y to y."""
        for first, last, low, high in bars:
            left, top = self._left(first), self._top(high)
            self._add(
                '<rect class="bar k{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>',
                kind,
                left,
                top,
                max(self._left(last) - left - 0.5, 0.5),
                self._top(low) - top,
            )

    def svg(self, name: str, title: str) -> Markup:
        """The drawing; screen readers say the title. `name` is for one drawing of the page."""
        return Markup(
            '<svg class="plot" viewBox="0 0 {w} {h}" role="img" aria-labelledby="{name}">'
            '<title id="{name}">{title}</title>{grid}{drawn}</svg>'
        ).format(
            w=WIDTH,
            h=HEIGHT,
            name=f"plot-{name}",
            title=title,
            grid=self._grid(),
            drawn=Markup("").join(self._parts),
        )

    def _add(self, markup: str, *values: object) -> None:
        self._parts.append(Markup(markup).format(*values))

    def _left(self, x: float) -> float:
        return LEFT + self._x.place(x) * (WIDTH - LEFT - RIGHT)

    def _top(self, y: float) -> float:
        return HEIGHT - BOTTOM - self._y.place(y) * (HEIGHT - TOP - BOTTOM)

    def _grid(self) -> Markup:
        low, right = HEIGHT - BOTTOM, WIDTH - RIGHT
        parts = [
            Markup(
                '<path class="grid" d="M{} {:.1f}H{}"/><text class="y" x="{}" y="{:.1f}">{}</text>'
            ).format(
                LEFT, self._top(tick), right, LEFT - 6, self._top(tick) + 4, self._y.text(tick)
            )
            for tick in self._y.ticks()
        ]
        parts += [
            Markup(
                '<path class="tick" d="M{:.1f} {}v4"/><text class="x" x="{:.1f}" y="{}">{}</text>'
            ).format(self._left(tick), low, self._left(tick), low + 17, self._x.text(tick))
            for tick in self._x.ticks()
        ]
        parts.append(Markup('<path class="axis" d="M{} {}H{}"/>').format(LEFT, low, right))
        parts.append(Markup('<text class="name" x="4" y="14">{}</text>').format(self._y.label))
        middle = (LEFT + right) / 2
        parts.append(
            Markup('<text class="x" x="{}" y="{}">{}</text>').format(
                middle, HEIGHT - 6, self._x.label
            )
        )
        return Markup("").join(parts)
