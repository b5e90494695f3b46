"""The type of a column's values: numbers, integers, text, times or ids, single or in lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from plumbline.columns.kinds import FeatureKind

Element = Literal["number", "integer", "text", "time", "ids"]

_ELEMENTS: Mapping[FeatureKind, Element] = {
    "continuous": "number",
    "integer": "integer",
    "boolean": "integer",
    "hex": "integer",
    "string": "text",
    "integer_list": "integer",
    "hex_list": "integer",
    "string_list": "text",
    "time": "time",
}
LIST_SUFFIX = "_list"


@dataclass(frozen=True, slots=True)
class ValueType:
    """The type of the values, and whether each row has a list of them."""

    element: Element
    is_list: bool = False

    @classmethod
    def of_kind(cls, kind: FeatureKind) -> ValueType:
        return cls(_ELEMENTS[kind], kind.endswith(LIST_SUFFIX))

    def __str__(self) -> str:
        return f"lists of {self.element.removesuffix('s')}s" if self.is_list else self.element
