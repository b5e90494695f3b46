"""Options with several values, or with an optional one, and `--help` in groups.

The placeholder in `--help` says how many values an option has, as in Unix manuals: `PATH` one,
`PATH...` all words up to the next option, `[PATH]` one or none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import typer
from typer.core import TyperCommand, TyperGroup

Takes = Literal["nothing", "one", "several", "at most one"]

_NEGATIVE_NUMBER = re.compile(r"-\d+|-\d*\.\d+")


class Group(TyperGroup):
    """A program whose commands are listed under the names of their groups (`rich_help_panel`)."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        width = max(map(len, self.commands))
        shown = [(c, name) for name, c in self.commands.items() if not c.hidden]
        rows = [(_panel(c, "Commands"), (name.ljust(width), _summary(c))) for c, name in shown]
        _write_groups(formatter, rows)


class Command(TyperCommand):
    """A command whose options have as many values as their placeholders say.

    They are listed under the names of their groups (`rich_help_panel`).
    """

    def format_options(self, ctx: Any, formatter: Any) -> None:
        rows = []
        for parameter in self.get_params(ctx):
            if (record := parameter.get_help_record(ctx)) is not None:
                is_argument = parameter.param_type_name == "argument"
                rows.append((_panel(parameter, "Arguments" if is_argument else "Options"), record))
        _write_groups(formatter, rows)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        takes = {
            name: _takes(parameter)
            for parameter in self.get_params(ctx)
            for name in (*parameter.opts, *parameter.secondary_opts)
        }
        try:
            return super().parse_args(ctx, one_value_each(args, takes))
        except typer.BadParameter as error:
            error.ctx = ctx
            raise


def one_value_each(words: Sequence[str], takes: Mapping[str, Takes]) -> list[str]:
    """The same command line, with each option repeated for each of its values.

    An option with an optional value gets an empty one if it has none.

    >>> one_value_each(["--data", "a", "b", "--force"], {"--data": "several", "--force": "nothing"})
    ['--data', 'a', '--data', 'b', '--force']
    >>> one_value_each(["--publish"], {"--publish": "at most one"})
    ['--publish', '']

    Raises
    ------
    typer.BadParameter
        An option needs a value and has none.
    """
    given: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return [*given, word, *rest]
        wanted = takes.get(word, "nothing")
        if wanted == "nothing":
            given.append(word)
            continue
        count = _count(rest, wanted, takes)
        values, rest = rest[:count], rest[count:]
        if not values and wanted != "at most one":
            raise typer.BadParameter("wanted a value, got none.", param_hint=word)
        for value in values or [""]:
            given += [word, value]
    return given


def _panel(of: Any, otherwise: str) -> str:
    panel = getattr(of, "rich_help_panel", None)
    return panel if isinstance(panel, str) else otherwise


def _summary(command: Any) -> str:
    """The first sentence of a command's help."""
    return " ".join((command.help or "").split("\n\n")[0].split())


def _write_groups(formatter: Any, rows: Sequence[tuple[str, tuple[str, str]]]) -> None:
    """Groups in the order of their first rows."""
    for group in dict.fromkeys(group for group, _ in rows):
        with formatter.section(group):
            formatter.write_dl([row for of, row in rows if of == group])


def _takes(parameter: Any) -> Takes:
    if getattr(parameter, "is_flag", False) or parameter.param_type_name == "argument":
        return "nothing"
    placeholder = parameter.metavar or ""
    if placeholder.endswith("..."):
        return "several"
    return "at most one" if placeholder.startswith("[") else "one"


def _count(rest: Sequence[str], wanted: Takes, takes: Mapping[str, Takes]) -> int:
    """The number of the words after an option that are its values."""
    if wanted == "one":
        return int(bool(rest) and rest[0] not in takes)
    options = (i for i, word in enumerate(rest) if _looks_like_an_option(word))
    count = next(options, len(rest))
    return count if wanted == "several" else min(count, 1)


def _looks_like_an_option(word: str) -> bool:
    return len(word) > 1 and word[0] == "-" and not _NEGATIVE_NUMBER.fullmatch(word)
