"""Command lines as users type them: options with several values, with none, or without theirs."""

from collections.abc import Sequence

import pytest
import typer

from plumbline.commands.arguments import Takes, one_value_each

TAKES: dict[str, Takes] = {
    "--data": "several",
    "--publish": "at most one",
    "--out": "one",
    "--force": "nothing",
}


@pytest.mark.parametrize(
    ("words", "read"),
    [
        ("--data a b c", "--data a --data b --data c"),
        ("--data a b --out o --data c", "--data a --data b --out o --data c"),
        ("--data -1 0 -", "--data -1 --data 0 --data -"),
        ("--data=a b", "--data=a b"),
        ("f g --data a --force", "f g --data a --force"),
        ("--publish live --force", "--publish live --force"),
        ("--publish --force", "--publish  --force"),
        ("--out -x", "--out -x"),
        ("--data a -- b --data c d", "--data a -- b --data c d"),
        ("--unknown a b", "--unknown a b"),
    ],
)
def test_an_option_is_repeated_for_each_value(words: str, read: str) -> None:
    assert one_value_each(words.split(" "), TAKES) == read.split(" ")


@pytest.mark.parametrize(
    "words", [["--data"], ["--data", "--force"], ["--out"], ["--out", "--data"]]
)
def test_an_option_without_a_value_is_refused(words: Sequence[str]) -> None:
    with pytest.raises(typer.BadParameter, match="wanted a value, got none"):
        one_value_each(words, TAKES)
