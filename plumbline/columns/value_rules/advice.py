"""Which setting or kind would accept a refused value; an empty text if none would."""

from __future__ import annotations

import math
import re
from decimal import Decimal

from plumbline.columns.unsigned import UNSIGNED_START
from plumbline.columns.value_rules import text_values
from plumbline.columns.value_rules.rules import ValueRules

_GROUPED = re.compile(r"[+-]?[0-9]{1,3}(?:(?P<mark>[,.' \u00a0\u202f\u2019_])[0-9]{3})+")
_COMMA = re.compile(r"[+-]?[0-9]*,[0-9]+(?:[eE][+-]?[0-9]+)?")
_POINT = re.compile(r"[+-]?[0-9]*\.[0-9]+")


def of_number(found: object, rules: ValueRules) -> str:
    """Advice for a value that is not a number.

    >>> of_number("NA", ValueRules()), of_number("1,5", ValueRules())
    ('log.missing takes words for missing values', "log.decimal takes the mark: ','")
    """
    text = found.strip(text_values.BLANKS) if isinstance(found, str) else ""
    if not text or text_values.real(text, rules) is not text_values.REFUSED:
        return ""
    if (grouped := _GROUPED.fullmatch(text)) and rules.thousands is None:
        takers = (
            "log.decimal or log.thousands take" if text.count(",") == 1 else "log.thousands takes"
        )
        return f"{takers} the mark: {grouped['mark']!r}"
    if rules.decimal == "." and _COMMA.fullmatch(text):
        return "log.decimal takes the mark: ','"
    if rules.decimal == "," and _POINT.fullmatch(text):
        return "log.decimal is ','"
    if not any(character.isdigit() for character in text):
        return "log.missing takes words for missing values"
    return "kind string takes it"


def of_integer(found: object, rules: ValueRules) -> str:
    """Advice for a value that is not a whole number of 64 bits."""
    if isinstance(found, str):
        return _of_integer_text(found, rules)
    if not isinstance(found, int | float | Decimal) or not math.isfinite(found):
        return ""
    if found % 1 != 0:
        return "kind continuous takes it"
    is_large = found >= UNSIGNED_START or found <= -UNSIGNED_START
    return "kind string takes it" if is_large else ""


def _of_integer_text(found: str, rules: ValueRules) -> str:
    if text_values.whole(found, rules) is not text_values.REFUSED:
        return ""
    word = found.strip().lower()
    if word in (*text_values.TRUE_WORDS, *text_values.FALSE_WORDS):
        return ""  # the message already advises kind boolean
    number = text_values.real(found, rules)
    if number is text_values.REFUSED:
        return of_number(found, rules)
    is_whole = number is None or not math.isfinite(number) or float(number).is_integer()
    return "kind string takes it" if is_whole else "kind continuous takes it"


def of_hexadecimal(found: object) -> str:
    """Advice for a value that is not a hexadecimal number of 64 bits."""
    return "kind string takes it" if isinstance(found, str) else ""


def of_boolean(found: object) -> str:
    """Advice for a value that is neither true nor false."""
    if isinstance(found, str) and text_values.real(found, ValueRules()) is text_values.REFUSED:
        return "kind string takes it, log.missing words for missing values"
    return "kinds integer and continuous take numbers"


def of_string(found: object) -> str:
    """Advice for a value that is not text."""
    is_number = isinstance(found, float | Decimal) and math.isfinite(found)
    return "kind continuous takes it" if is_number else ""
