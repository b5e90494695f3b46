"""What a chain gives: numbers, integers, text or ids, one a row or a list a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from plumbline.base.errors import PlanError
from plumbline.columns.kinds import FeatureKind
from plumbline.features.operators.step import NumberStep
from plumbline.features.plan.chains import Source

Element = Literal["number", "integer", "text", "ids"]

_ELEMENTS: Mapping[FeatureKind, Element] = {
    "continuous": "number",
    "integer": "integer",
    "boolean": "integer",
    "hex": "integer",
    "string": "text",
    "integer_list": "integer",
    "hex_list": "integer",
    "string_list": "text",
}
LIST_SUFFIX = "_list"


@dataclass(frozen=True, slots=True)
class ValueType:
    """The values of a column: of what sort they are, and whether each row has a list of them."""

    element: Element
    is_list: bool = False

    @classmethod
    def of_kind(cls, kind: FeatureKind) -> ValueType:
        return cls(_ELEMENTS[kind], kind.endswith(LIST_SUFFIX))

    def __str__(self) -> str:
        return f"lists of {self.element}s" if self.is_list else self.element


def type_of(source: Source, kinds: Mapping[str, FeatureKind], output: str) -> ValueType:
    """The type of what a chain, fitted or not, gives; `output` is named in errors.

    Raises
    ------
    PlanError
        A column that is not in `kinds`, or a step that cannot take what comes to it.
    """
    if isinstance(source, str):
        if source not in kinds:
            raise PlanError(
                f"Column {output!r} is made of {source!r}: wanted a feature column, one of "
                f"{', '.join(kinds)}."
            )
        return ValueType.of_kind(kinds[source])
    types = [type_of(inner, kinds, output) for inner in source.sources]
    found = types[0]
    for place, step in enumerate(source.steps):
        taken = types if place == 0 else [found]
        _check(step, taken, output)
        found = ValueType(step.gives, step.gives == "ids" and taken[0].is_list)
    return found


def _check(step: object, taken: list[ValueType], output: str) -> None:
    name = type(step).__name__
    if len(taken) > 1 and any(one.is_list for one in taken):
        raise PlanError(f"Column {output!r}: {name} of several columns cannot take lists.")
    wants_numbers = isinstance(step, NumberStep) or name in _NUMBERS_ONLY
    for one in taken:
        if wants_numbers and (one.is_list or one.element == "text"):
            raise PlanError(f"Column {output!r}: {name} wants numbers, got {one}.")
        if name in _NO_NUMBERS and one.element == "number":
            raise PlanError(f"Column {output!r}: {name} wants integers or text, got numbers.")
        if name in _NO_LISTS and one.is_list:
            raise PlanError(f"Column {output!r}: {name} wants single values, got {one}.")


_NUMBERS_ONLY = {
    "FitNormalize",
    "FitNormalizeMinMax",
    "FitMedian",
    "FitQuantileBucketize",
    "FitQuantileTransform",
    "Bucketize",
}
_NO_NUMBERS = {
    "Categorify",
    "FitCategorify",
    "KeyedValue",
    "FitGroupStatistic",
    "FitTargetEncoding",
}
_NO_LISTS = {"IsMissing", "KeyedValue", "FitGroupStatistic", "FitTargetEncoding"}
