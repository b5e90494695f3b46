"""What one text means in each kind, blanks and tabs around it left out.

Each function gives a value, None for a missing one, or `REFUSED`.
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
    """Text as it stands, trimmed where the rules say so."""
    found = value.strip(BLANKS) if rules.trim else value
    return None if not found or found in rules.missing_words else found


def real(value: str, rules: ValueRules) -> float | Refused | None:
    """A number in float64; it may be infinite."""
    found = _given(value, rules)
    if found is None or _NO_NUMBER.fullmatch(found):
        return None
    if _INFINITY.fullmatch(found):
        return float(found)
    plain = plain_number(found, rules)
    if plain is None:
        return REFUSED
    number = float(plain)
    return None if number in rules.missing_numbers else number


def whole(value: str, rules: ValueRules) -> int | Refused | None:
    """A whole number of 64 bits in the wire's form: `8`, `+8`, `8.0`, `8e0`, all exact.

    >>> whole("9007199254740993.0", ValueRules())
    9007199254740993
    """
    found = _given(value, rules)
    if found is None or _NO_NUMBER.fullmatch(found):
        return None
    plain = plain_number(found, rules)
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
    """1 to 16 hexadecimal digits in the wire's form."""
    if not rules.missing and _FEW_HEX_DIGITS.fullmatch(value):
        return int(value, 16)
    found = _given(value, rules)
    if found is None:
        return None
    if not _HEX_DIGITS.fullmatch(found):
        return REFUSED
    integer = int(found, 16)
    if integer in rules.missing_hexadecimals:
        return None
    code = signed_code(integer)
    return REFUSED if code is None else code


def boolean(value: str, rules: ValueRules) -> int | Refused | None:
    """1 or 0, of the words for true and false in any letter case, or of the numbers."""
    found = _given(value, rules)
    if found is None:
        return None
    word = found.lower()
    if word in TRUE_WORDS:
        return 1
    if word in FALSE_WORDS:
        return 0
    return _zero_or_one(found, rules)


def label(value: str, rules: ValueRules) -> int | Refused | None:
    """1 or 0, of `true` and `false` in any letter case, or of the numbers."""
    found = _given(value, rules)
    if found is None:
        return None
    known = {"true": 1, "false": 0}.get(found.lower())
    return _zero_or_one(found, rules) if known is None else known


def clicks(words: tuple[str, ...], rules: ValueRules) -> Callable[[str], int | None]:
    """Whether a text is one of the words, or a number that one of them is; None for missing."""
    known = frozenset(word.strip(BLANKS) for word in words)
    numbers = click_numbers(words)

    def is_click(value: str) -> int | None:
        found = _given(value, rules)
        if found is None:
            return None
        return int(found in known or (bool(numbers) and real(found, rules) in numbers))

    return is_click


def click_numbers(words: tuple[str, ...]) -> frozenset[float]:
    """Those of the words that are numbers."""
    return frozenset(float(word) for word in words if _NUMBER.fullmatch(word))


def plain_number(value: str, rules: ValueRules) -> str | None:
    """The number as Python writes one: a point, no marks; None where it is no finite number.

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
    """Numbers whose digits stand in groups of three."""
    mark, point = thousands_marks(rules), re.escape(rules.decimal)
    return rf"[+-]?[0-9]{{1,3}}(?:{mark}[0-9]{{3}})+(?:{point}[0-9]*)?(?:[eE][+-]?[0-9]+)?"


def thousands_marks(rules: ValueRules) -> str:
    """A pattern of one mark; a blank stands for those that do not break as well."""
    mark = rules.thousands or ""
    return f"[{re.escape(_BLANK_MARKS if mark in _BLANK_MARKS else mark)}]"


def _given(value: str, rules: ValueRules) -> str | None:
    found = value.strip(BLANKS)
    return None if not found or found in rules.missing_words else found


def _zero_or_one(found: str, rules: ValueRules) -> int | Refused | None:
    number = real(found, rules)
    if number is None or number is REFUSED:
        return number
    return int(number) if number in (0.0, 1.0) else REFUSED
