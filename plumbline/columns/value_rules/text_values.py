"""What a single text means in each kind, without the blanks and tabs around it.

Each function returns a value, None for a missing value, or `REFUSED`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from typing import Literal, TypeAlias

from plumbline.columns.unsigned import UNSIGNED_END, signed_code
from plumbline.columns.value_rules.rules import ValueRules


class Refusal(Enum):
    REFUSED = "refused"


REFUSED = Refusal.REFUSED
Refused: TypeAlias = Literal[Refusal.REFUSED]

BLANKS = " \t"
TRUE_WORDS = ("true", "t", "yes", "y", "on")
FALSE_WORDS = ("false", "f", "no", "n", "off")

MOST_HEX_DIGITS = 16
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NO_NUMBER = re.compile(r"[+-]?nan", re.IGNORECASE)
_INFINITY = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)
_HEX_DIGITS = re.compile(r"[0-9a-fA-F]{1,16}")
_FEW_HEX_DIGITS = re.compile(r"[0-9a-fA-F]{1,15}")
_BLANK_MARKS = " \u00a0\u202f"
_MOST_DIGITS = 19
"""An exponent of ten above this is beyond 64 bits."""


def text(value: str, rules: ValueRules) -> str | None:
    """The text itself, trimmed if the rules say so."""
    kept = value.strip(BLANKS) if rules.trim else value
    return None if not kept or kept in rules.missing_words else kept


def real(value: str, rules: ValueRules) -> float | Refused | None:
    """A number in float64; it may be infinite."""
    stripped = _stripped(value, rules)
    if stripped is None or _NO_NUMBER.fullmatch(stripped):
        return None
    if _INFINITY.fullmatch(stripped):
        return float(stripped)
    plain = plain_number(stripped, rules)
    if plain is None:
        return REFUSED
    number = float(plain)
    return None if number in rules.missing_numbers else number


def whole(value: str, rules: ValueRules) -> int | Refused | None:
    """The int64 code of a whole number of 64 bits, exactly: `8`, `+8`, `8.0`, `8e0`.

    >>> whole("9007199254740993.0", ValueRules())
    9007199254740993
    """
    stripped = _stripped(value, rules)
    if stripped is None or _NO_NUMBER.fullmatch(stripped):
        return None
    plain = plain_number(stripped, rules)
    if plain is None:
        return REFUSED
    number = Decimal(plain)
    if number and number.adjusted() > _MOST_DIGITS:
        return REFUSED
    if number != (integral := number.to_integral_value()):
        return REFUSED
    integer = int(integral)
    if integer in rules.missing_integers:
        return None
    code = signed_code(integer) if integer < UNSIGNED_END else None
    return REFUSED if code is None else code


def hexadecimal(value: str, rules: ValueRules) -> int | Refused | None:
    """The int64 code of 1 to 16 hexadecimal digits."""
    if not rules.missing and _FEW_HEX_DIGITS.fullmatch(value):
        return int(value, 16)
    stripped = _stripped(value, rules)
    if stripped is None:
        return None
    if not _HEX_DIGITS.fullmatch(stripped):
        return REFUSED
    integer = int(stripped, 16)
    if integer in rules.missing_hexadecimals:
        return None
    code = signed_code(integer)
    return REFUSED if code is None else code


def boolean(value: str, rules: ValueRules) -> int | Refused | None:
    """1 or 0, from words for true and false in any letter case, or from the numbers 1 and 0."""
    stripped = _stripped(value, rules)
    if stripped is None:
        return None
    word = stripped.lower()
    if word in TRUE_WORDS:
        return 1
    if word in FALSE_WORDS:
        return 0
    return _zero_or_one(stripped, rules)


def label(value: str, rules: ValueRules) -> int | Refused | None:
    """1 or 0, from `true` and `false` in any letter case, or from the numbers 1 and 0."""
    stripped = _stripped(value, rules)
    if stripped is None:
        return None
    known = {"true": 1, "false": 0}.get(stripped.lower())
    return _zero_or_one(stripped, rules) if known is None else known


def clicks(words: tuple[str, ...], rules: ValueRules) -> Callable[[str], int | None]:
    """A function of a text: whether it is one of the words or their numbers; None if missing."""
    known = frozenset(word.strip(BLANKS) for word in words)
    numbers = click_numbers(words)

    def is_click(value: str) -> int | None:
        stripped = _stripped(value, rules)
        if stripped is None:
            return None
        return int(stripped in known or (bool(numbers) and real(stripped, rules) in numbers))

    return is_click


def click_numbers(words: tuple[str, ...]) -> frozenset[float]:
    """The words that are numbers, as numbers."""
    return frozenset(float(word) for word in words if _NUMBER.fullmatch(word))


def plain_number(value: str, rules: ValueRules) -> str | None:
    """The number with a decimal point and without thousands marks; None if it is not one.

    >>> plain_number("1.234.567,89", ValueRules(decimal=",", thousands="."))
    '1234567.89'
    """
    if not rules.has_plain_numbers:
        if rules.thousands is not None and _grouped(value, rules):
            value = re.sub(thousands_marks(rules), "", value)
        if rules.decimal == ",":
            if "." in value:
                return None
            value = value.replace(",", ".")
    return value if _NUMBER.fullmatch(value) else None


def _grouped(value: str, rules: ValueRules) -> bool:
    return re.fullmatch(thousands_pattern(rules), value) is not None


def thousands_pattern(rules: ValueRules) -> str:
    """A pattern of numbers whose digits are in groups of three."""
    mark, point = thousands_marks(rules), re.escape(rules.decimal)
    return rf"[+-]?[0-9]{{1,3}}(?:{mark}[0-9]{{3}})+(?:{point}[0-9]*)?(?:[eE][+-]?[0-9]+)?"


def thousands_marks(rules: ValueRules) -> str:
    """A pattern of the thousands mark; a blank also matches no-break blanks."""
    mark = rules.thousands or ""
    return f"[{re.escape(_BLANK_MARKS if mark in _BLANK_MARKS else mark)}]"


def _stripped(value: str, rules: ValueRules) -> str | None:
    """The text without blanks around it; None if it is missing."""
    stripped = value.strip(BLANKS)
    return None if not stripped or stripped in rules.missing_words else stripped


def _zero_or_one(text: str, rules: ValueRules) -> int | Refused | None:
    number = real(text, rules)
    if number is None or number is REFUSED:
        return number
    return int(number) if number in (0.0, 1.0) else REFUSED
