"""Text from text, and integers from text. Positions count code points, as Python's do.

Lowercase: text in lower case.
Substring: the characters of a text from one position to another.
SplitPart: one part of a text between separators.
CountSubstring: the number of times that a text contains another.
TextLength: the number of characters of a text.
"""

from __future__ import annotations

from collections.abc import Sequence

from plumbline.features.operators import text
from plumbline.features.steps.step import Step
from plumbline.features.steps.value_types import Element
from plumbline.nvtabular.constants import text_of
from plumbline.nvtabular.expression import Expression, compiled
from plumbline.nvtabular.operator_call import CompiledOperator


class Lowercase(Expression):
    """As Python's `str.lower` and pandas' `str.lower`."""

    takes = ("text",)
    gives = "text"

    def step(self, output: str, inputs: Sequence[str], taken: Sequence[Element]) -> Step:
        return text.Lowercase()


class Substring(Expression):
    """As Python's `text[start:stop]` and pandas' `str.slice`; an empty result is missing."""

    takes = ("text",)
    gives = "text"

    def __init__(self, start: int | None = None, stop: int | None = None) -> None:
        super().__init__()
        for position in (start, stop):
            if position is not None and not isinstance(position, int):
                raise ValueError(f"Substring: wanted positions, got {position!r}")
        self.start, self.stop = start, stop

    def step(self, output: str, inputs: Sequence[str], taken: Sequence[Element]) -> Step:
        return text.Substring(self.start, self.stop)


class SplitPart(Expression):
    """As Python's `text.split(separator)[index]`; missing if there is no such part."""

    takes = ("text",)
    gives = "text"

    def __init__(self, separator: str, index: int) -> None:
        super().__init__()
        if not isinstance(index, int):
            raise ValueError(f"SplitPart: wanted the index of a part, got {index!r}")
        self.separator = text_of("SplitPart", "a separator", separator)
        self.index = index

    def step(self, output: str, inputs: Sequence[str], taken: Sequence[Element]) -> Step:
        return text.SplitPart(self.separator, self.index)


class CountSubstring(Expression):
    """As Python's `text.count(substring)`: the parts between separators are one more."""

    takes = ("text",)
    gives = "integer"

    def __init__(self, substring: str) -> None:
        super().__init__()
        self.substring = text_of("CountSubstring", "a text to count", substring)

    def step(self, output: str, inputs: Sequence[str], taken: Sequence[Element]) -> Step:
        return text.CountSubstring(self.substring)


class TextLength(Expression):
    """As Python's `len(text)`."""

    takes = ("text",)
    gives = "integer"

    def step(self, output: str, inputs: Sequence[str], taken: Sequence[Element]) -> Step:
        return text.TextLength()


OPERATORS = tuple(
    CompiledOperator(one, compiled)
    for one in (Lowercase, Substring, SplitPart, CountSubstring, TextLength)
)
