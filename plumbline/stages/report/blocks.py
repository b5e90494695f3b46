"""The blocks that sections are made of: tables, and figures with the table behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from markupsafe import Markup


@dataclass(frozen=True, slots=True)
class Bar:
    """A figure with a bar beside it, which is `part` of its cell wide, from 0 to 1."""

    text: str
    part: float


@dataclass(frozen=True, slots=True)
class Flagged:
    """A figure that stands out: `kind` is `good`, `warn` or `bad`, and `why` says it in words."""

    text: str
    kind: str
    why: str


Cell: TypeAlias = "str | Bar | Flagged"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells; the first cell of a row is its heading.

    `numbers_from` is the first column of figures, which are aligned to the right.
    """

    caption: str
    heads: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    numbers_from: int = 1
    is_folded: bool = False
    """Whether only the caption is seen until it is opened."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing, what its colours mean (class k0, k1, …, in order), and its figures in a table."""

    title: str
    drawing: Markup
    table: Table
    legend: Sequence[str] = ()
    note: str = ""
    has_bars: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page: paragraphs, figures side by side, then tables."""

    name: str
    """The anchor, in one word."""
    title: str
    texts: Sequence[str] = ()
    figures: Sequence[Figure] = ()
    tables: Sequence[Table] = ()
    top: Markup = field(default_factory=Markup)
    """What only this section has, above all else."""
