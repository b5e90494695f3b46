"""Command lines of the pages, held against the parsers, files and targets that there are."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from typing import Any

import typer

from plumbline import cli
from tests.conftest import ROOT

OTHERS = {
    "chmod", "curl", "docker", "export", "head", "kubectl", "openssl", "source", "sudo",
}  # fmt: skip
"""Programs that are not ours; a page may show them, and nothing checks their options."""

_SEPARATORS = {"|", "&&", "||", ";", "&"}


@cache
def commands() -> dict[str, Any]:
    """The commands of `plumbline` by name."""
    return dict(typer.main.get_command(cli.app).commands)


def parsed(words: list[str]) -> dict[str, Any]:
    """The values of a command line of `plumbline`, without running it.

    Raises
    ------
    typer.TyperException
        There is no such command or option, or a value is wrong.
    """
    if words[:1] == ["--help"]:
        return {}
    if words[0] not in commands():
        raise typer.BadParameter(f"no such command: {words[0]!r}")
    if words[1:] == ["--help"]:
        return {}
    with commands()[words[0]].make_context("plumbline", words[1:]) as context:
        return context.params


def simple_commands(text: str) -> Iterator[list[str]]:
    """The words of every simple command of a block of shell, without variables set before it."""
    for line in _whole_lines(text.replace("\\\n", " ")):
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;")
        lexer.whitespace_split, lexer.commenters = True, "#"
        words: list[str] = []
        for word in [*lexer, ";"]:
            if word not in _SEPARATORS:
                words.append(word)
                continue
            while words and re.fullmatch(r"\w+=.*", words[0], re.DOTALL):
                words.pop(0)
            if words:
                yield words
            words = []


def _whole_lines(text: str) -> Iterator[str]:
    """The lines, with those joined between which a quote is open."""
    begun = ""
    for line in text.splitlines():
        begun += line if not begun else f"\n{line}"
        try:
            shlex.split(begun, comments=True)
        except ValueError:
            continue
        yield begun
        begun = ""


def problem(words: list[str]) -> str | None:
    """What is wrong with a command, or None."""
    program, rest = words[0], words[1:]
    try:
        if program == "plumbline":
            return _problem_of_values(parsed(rest))
        if program in ("python", "python3", "torchrun"):
            return _problem_of_python(program, rest)
    except typer.TyperException as error:
        return error.format_message()
    if program == "make":
        return _problem_of_make(rest)
    return None if program in OTHERS else f"{program!r} is not a program that pages may show"


def _problem_of_python(program: str, words: list[str]) -> str | None:
    if program == "torchrun":
        words = words[next(i for i, word in enumerate(words) if word.endswith(".py")) :]
    if words[0] == "-c":
        compile(words[1], "-c", "exec")
        return None
    if words[0] == "-m":
        module = words[1]
        if find_spec(module) is None:
            return f"there is no module {module}"
        if module in ("plumbline", "mkdocs", "pytest"):
            return _problem_of_values(parsed(words[2:])) if module == "plumbline" else None
        file, rest = f"{module.replace('.', '/')}.py", words[2:]
    else:
        file, rest = words[0], words[1:]
    if not (ROOT / file).is_file():
        return None if (ROOT / file.removesuffix(".py")).is_dir() else f"there is no file {file}"
    own = re.search(r'main\("(\w+)"\)', (ROOT / file).read_text(encoding="utf-8"))
    if own is None:
        return None
    return _problem_of_values(parsed(rest if own[1] == "client" else [own[1], *rest]))


def _problem_of_values(values: dict[str, Any]) -> str | None:
    config = values.get("config")
    if config is not None and config.parts[:1] == ("configs",) and not (ROOT / config).is_file():
        return f"there is no {config}"
    return None


def _problem_of_make(words: list[str]) -> str | None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    for word in words:
        name, _, value = word.partition("=")
        if value and f"$({name})" not in text and f"$(if $({name})" not in text:
            return f"the Makefile has no variable {name}"
        if not value and not re.search(rf"^{re.escape(word)}:", text, re.MULTILINE):
            return f"the Makefile has no target {word}"
    return None
