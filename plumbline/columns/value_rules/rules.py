"""The settings of a log that define what its values mean."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from decimal import Decimal
from functools import cached_property
from typing import Any, Protocol

from plumbline.base.json_text import parse_json

_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")
_HEX = re.compile("-?[0-9a-fA-F]{1,16}")


class LabelRule(Protocol):
    """Which values of a label column are clicks; by default 1 and true."""

    @property
    def at_least(self) -> float | None:
        """The smallest number that is a click."""

    @property
    def click(self) -> tuple[str, ...]:
        """The words that are clicks."""


@dataclass(frozen=True)
class ValueRules:
    """How the values of a table are written.

    `missing` are words for missing values in every kind. `decimal` and `thousands` are the marks of
    numbers in text. `trim` strips blanks and tabs from text. `list_separator` separates the
    elements of a list in text. `time_formats` maps a time column to its format.
    """

    missing: tuple[str, ...] = ()
    decimal: str = "."
    thousands: str | None = None
    trim: bool = False
    list_separator: str | None = None
    time_formats: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> ValueRules:
        """From a log's settings by name; other settings are ignored.

        >>> ValueRules.from_settings({"missing": ["NA"], "separator": ";"}).missing
        ('NA',)
        """
        own = {key.name: settings[key.name] for key in fields(cls) if key.name in settings}
        if "missing" in own:
            own["missing"] = tuple(own["missing"])
        return cls(**own)

    @classmethod
    def from_json(cls, text: str) -> ValueRules:
        """From the JSON of these rules, or of all settings of a log; raises ValueError."""
        settings = parse_json(text)
        if not isinstance(settings, dict):
            raise ValueError(f"wanted a JSON object, got {type(settings).__name__}")
        return cls.from_settings(settings)

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @property
    def has_plain_numbers(self) -> bool:
        """Whether numbers have a decimal point and no thousands mark."""
        return self.decimal == "." and self.thousands is None

    @cached_property
    def missing_words(self) -> frozenset[str]:
        return frozenset(self.missing)

    @cached_property
    def missing_numbers(self) -> tuple[float, ...]:
        """The words that are numbers; such a number is missing in any spelling."""
        return tuple(float(number) for number in self._missing_decimals)

    @cached_property
    def missing_integers(self) -> tuple[int, ...]:
        numbers = self._missing_decimals
        return tuple(int(number) for number in numbers if number == number.to_integral_value())

    @cached_property
    def _missing_decimals(self) -> tuple[Decimal, ...]:
        words = (word.replace(self.decimal, ".") for word in self.missing)
        return tuple(Decimal(word) for word in words if _NUMBER.fullmatch(word))

    @cached_property
    def missing_hexadecimals(self) -> tuple[int, ...]:
        return tuple(int(word, 16) for word in self.missing if _HEX.fullmatch(word))
