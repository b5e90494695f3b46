"""Instants in the parameters of expressions."""

from __future__ import annotations

from datetime import date, datetime

from plumbline.columns.value_rules.text_values import REFUSED
from plumbline.columns.value_rules.times import iso_seconds, microseconds

WANTED = "an instant such as '2024-05-01' or '2024-05-01T12:00:00Z', or a datetime"


def microseconds_of(operator: str, instant: str | date | datetime) -> int:
    """Microseconds since 1970 in UTC.

    Raises
    ------
    ValueError
        The instant is neither ISO 8601 text nor a date.
    """
    text = instant.isoformat() if isinstance(instant, date) else instant
    seconds = iso_seconds(text) if isinstance(text, str) else REFUSED
    if seconds is REFUSED:
        raise ValueError(f"{operator}: wanted {WANTED}, got {instant!r}")
    return microseconds(seconds)
