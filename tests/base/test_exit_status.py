import subprocess
import sys
from collections.abc import Callable

import pytest

from plumbline.base.errors import DataError
from plumbline.base.exit_status import exit_status


def ended(body: Callable[[], None], capsys: pytest.CaptureFixture[str]) -> tuple[object, str]:
    """The exit status, and the line on stderr."""
    with pytest.raises(SystemExit) as end, exit_status():
        body()
    text = capsys.readouterr().err
    assert text.count("\n") == 1 and text.endswith("\n")
    return end.value.code, text


def raises(error: BaseException) -> Callable[[], None]:
    def body() -> None:
        raise error

    return body


@pytest.mark.parametrize("text", ["[red]x[/]", "a\nb\n", "\x1b[31mred\x1b]0;title\x07", "{x} %s"])
def test_a_user_error_is_one_line(capsys: pytest.CaptureFixture[str], text: str) -> None:
    status, line = ended(raises(DataError(text)), capsys)
    assert status == 2 and line.startswith("error: ")
    assert "\x1b" not in line and "\x07" not in line
    if "\n" not in text and "\x1b" not in text:
        assert text in line


def test_a_full_disk_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def body() -> None:
        with open("/dev/full", "w") as stream:  # noqa: PTH123
            stream.write("x")

    assert ended(body, capsys) == (2, "error: No space left on device.\n")


def test_an_interrupt_is_status_130(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(raises(KeyboardInterrupt()), capsys) == (130, "interrupted\n")
    again = KeyboardInterrupt("the next run goes on from here")
    assert ended(raises(again), capsys) == (130, "interrupted: the next run goes on from here\n")


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(OSError, match="no number"), exit_status():
        raise OSError("no number")


def test_a_reader_of_stdout_that_ends_is_no_error() -> None:
    body = "for number in range(100_000): print(number)"
    assert ended_with_closed_stdout(body) == (0, "")


def test_another_broken_pipe_keeps_its_traceback() -> None:
    status, text = ended_with_closed_stdout("raise BrokenPipeError", close=False)
    assert status == 1 and "BrokenPipeError" in text


def ended_with_closed_stdout(body: str, close: bool = True) -> tuple[int, str]:
    """Status and stderr of a process whose stdout is a pipe that nobody reads any more."""
    code = f"from plumbline.base.exit_status import exit_status\nwith exit_status():\n    {body}"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stderr is not None
    if close:
        process.stdout.close()
    text = process.stderr.read()
    return process.wait(), text
