"""Text from data, made safe to print: on one line and without control characters."""

from __future__ import annotations


def one_line(text: str, longest: int | None = None) -> str:
    r"""Runs of white space become one blank, characters that cannot be printed become escapes.

    >>> one_line("a\n  b\x1b[31m c")
    'a b\\x1b[31m c'
    >>> one_line("abcdef", 4)
    'abc…'
    """
    joined = " ".join(text.split())
    shown = printable(joined)
    return shown if longest is None or len(shown) <= longest else shown[: longest - 1] + "…"


def printable(text: str) -> str:
    """The text with escapes for characters that cannot be printed."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def sentence(text: str) -> str:
    """The text with a full stop, unless it ends with a punctuation mark.

    >>> sentence("no such file"), sentence("did you mean 'a'?")
    ('no such file.', "did you mean 'a'?")
    """
    return text if text.endswith((".", "?", "!")) else f"{text}."
