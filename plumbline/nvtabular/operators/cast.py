"""Cast: numbers, integers and text as one another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

from plumbline.features.operators import cast
from plumbline.features.operators.cast import Rounding
from plumbline.features.steps.step import Step
from plumbline.features.steps.value_types import Element
from plumbline.nvtabular.expression import Expression, compiled
from plumbline.nvtabular.library import Tags, dtypes
from plumbline.nvtabular.operator_call import CompiledOperator

Target = Literal["number", "integer", "text"]


class Cast(Expression):
    """Values as a "number", an "integer" or "text".

    A number becomes an integer by `rounding`: "floor" or "nearest" (the even one of two). Text is
    read as a column of kind continuous or integer is; text that is neither is missing.
    """

    takes = ("number", "integer", "text")

    def __init__(self, to: Target, rounding: Rounding = "floor") -> None:
        super().__init__()
        if to not in get_args(Target):
            raise ValueError(f"Cast: wanted {', '.join(get_args(Target))}, got {to!r}")
        if rounding not in get_args(Rounding):
            raise ValueError(
                f"Cast: wanted rounding {' or '.join(get_args(Rounding))}, got {rounding!r}"
            )
        self.to: Target = to
        self.rounding: Rounding = rounding

    def step(self, output: str, inputs: Sequence[str], taken: Sequence[Element]) -> Step:
        element = taken[0]
        if self.to == "number" and element == "integer":
            return cast.ToNumber()
        if self.to == "number" and element == "text":
            return cast.ParseNumber()
        if self.to == "integer" and element == "number":
            return cast.ToInteger(self.rounding)
        if self.to == "integer" and element == "text":
            return cast.ParseInteger()
        if self.to == "text" and element == "integer":
            return cast.ToText()
        if self.to == "text" and element == "number":
            raise ValueError("Cast: a number has no one text: cast it to an integer first")
        raise ValueError(f"Cast: the column is {element} already: leave it out")

    @property
    def output_dtype(self) -> Any:
        return {"number": dtypes.float64, "integer": dtypes.int64, "text": dtypes.string}[self.to]

    @property
    def output_tags(self) -> list[Tags]:
        return [Tags.CONTINUOUS if self.to == "number" else Tags.CATEGORICAL]


OPERATORS = (CompiledOperator(Cast, compiled),)
