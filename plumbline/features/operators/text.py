"""Lower case, slices, parts and lengths of text. Positions count code points, as Python's do."""

from __future__ import annotations

from dataclasses import dataclass

from plumbline.features.steps.text_step import TextStep


@dataclass(frozen=True, slots=True)
class Lowercase(TextStep):
    """Python's `str.lower`, which is pandas': Unicode's full lower case.

    >>> Lowercase().of("ÄB")
    'äb'
    """

    op = "lowercase"
    gives = "text"

    def of(self, text: str) -> str:
        return text.lower()


@dataclass(frozen=True, slots=True)
class Substring(TextStep):
    """Python's slice; negative positions count from the end.

    >>> Substring(0, 2).of("äbc"), Substring(-1, None).of("äbc")
    ('äb', 'c')
    """

    op = "substring"
    gives = "text"
    start: int | None
    stop: int | None

    def of(self, text: str) -> str:
        return text[self.start : self.stop]


@dataclass(frozen=True, slots=True)
class SplitPart(TextStep):
    """Part `index` of the text between separators, from 0 on or from the end; missing if none.

    >>> SplitPart("|", 1).of("a|b"), SplitPart("|", -1).of("a|b"), SplitPart("|", 2).of("a|b")
    ('b', 'b', None)
    """

    op = "split_part"
    gives = "text"
    separator: str
    index: int

    def __post_init__(self) -> None:
        if not self.separator:
            raise ValueError("wanted a separator, got no text")

    def of(self, text: str) -> str | None:
        parts = text.split(self.separator)
        return parts[self.index] if -len(parts) <= self.index < len(parts) else None


@dataclass(frozen=True, slots=True)
class CountSubstring(TextStep):
    """The number of times that the substring occurs, without overlaps.

    >>> CountSubstring("|").of("a|b|c")
    2
    """

    op = "count_substring"
    gives = "integer"
    substring: str

    def of(self, text: str) -> int:
        return text.count(self.substring)


@dataclass(frozen=True, slots=True)
class TextLength(TextStep):
    """The number of code points."""

    op = "text_length"
    gives = "integer"

    def of(self, text: str) -> int:
        return len(text)
