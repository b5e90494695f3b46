"""Figures as text, the same everywhere on the page."""

from __future__ import annotations

NOTHING = "–"
"""For a figure that there is not."""


def count(number: float | None) -> str:
    """
    >>> count(1234567), count(None)
    ('1,234,567', '–')
    """
    return NOTHING if number is None else f"{number:,.0f}"


def share(number: float | None) -> str:
    """
    >>> share(0.12345), share(0.0), share(0.00012), share(None)
    ('12.3 %', '0 %', '0.012 %', '–')
    """
    if number is None:
        return NOTHING
    percent = 100 * number
    if percent == 0:
        return "0 %"
    return f"{percent:.1f} %" if abs(percent) >= 1 else f"{percent:.2g} %"


def decimal(number: float | None, places: int = 4) -> str:
    """
    >>> decimal(0.5), decimal(12.345, 1), decimal(None)
    ('0.5000', '12.3', '–')
    """
    return NOTHING if number is None else f"{number:.{places}f}"


def short(number: float) -> str:
    """Few characters, for an axis.

    >>> [short(x) for x in (0, 0.25, 1500, 2_000_000, 1e-3, 12)]
    ['0', '0.25', '1.5k', '2M', '0.001', '12']
    """
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:.3g}"


def short_share(number: float) -> str:
    """
    >>> short_share(0.25), short_share(0.001)
    ('25%', '0.1%')
    """
    return f"{100 * number:.3g}%"
