"""Printed text may be data: brackets are no markup, control characters become escapes."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from plumbline.base import console as terminal


def printed(text: str, **options: str) -> str:
    quiet = Console(width=80, force_terminal=False)
    with pytest.MonkeyPatch.context() as patched, quiet.capture() as caught:
        patched.setattr(terminal, "console", quiet)
        terminal.say(text, **options)
    return caught.get()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("x [eur]", "x [eur]\n"),
        ("[/quote]", "[/quote]\n"),
        ("[red]a[/red]", "[red]a[/red]\n"),
        ("\\[a]", "\\[a]\n"),
        (":smile: [link=x]", ":smile: [link=x]\n"),
        ("a\nb\r\n c", "a b c\n"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07\n"),
        ("\ud83d", "\\ud83d\n"),
        ("\u202eabc", "\\u202eabc\n"),
        ("  indented", "  indented\n"),
        ("a" * 300, "a" * 300 + "\n"),
    ],
)
def test_text_is_printed_without_markup(text: str, shown: str) -> None:
    assert printed(text) == shown


def test_a_label_is_printed_first() -> None:
    assert printed(" [x] is wrong", label="error:", label_style="red") == "error: [x] is wrong\n"


@given(st.text())
def test_any_text_is_one_line_without_control_characters(text: str) -> None:
    shown = printed(text)
    assert shown.endswith("\n") and shown.count("\n") == 1
    assert shown[:-1] == "" or shown[:-1].isprintable()


def test_the_description_of_a_bar_is_not_markup() -> None:
    with terminal.progress_bar("[/x]", 3) as advance:
        advance(3)


def test_without_a_terminal_progress_is_one_line_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    quiet = Console(width=80, force_terminal=False)
    monkeypatch.setattr(terminal, "console", quiet)
    with quiet.capture() as caught:
        with terminal.progress_bar("reading", 3) as advance:
            advance(1)
            advance(2)
        with terminal.waiting("starting"):
            pass
    assert re.fullmatch(r"  reading: 3 rows in 0\.0 s \([\d,]+ rows/s\)\n", caught.get())


def test_a_terminal_shows_rate_and_time_also_after_one_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wide = Console(width=120, force_terminal=True)
    monkeypatch.setattr(terminal, "console", wide)
    with wide.capture() as caught, terminal.progress_bar("reading", 4000) as advance:
        advance(4000)
    assert re.search(r"4000/4000.*[\d,]+ rows/s", caught.get().splitlines()[-2])
