import errno
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from plumbline.base.errors import DataError
from plumbline.base.exit_status import exit_status, machine_errors


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


def full() -> OSError:
    return OSError(errno.ENOSPC, "No space left on device")


def raised_from(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (full(), "run/etl: No space left on device."),
        (OSError(errno.ENOSPC, "No space left on device", "a.json"), "a.json: No space left on"),
        # Polars, Arrow, our own native code, torch
        (pl.exceptions.ComputeError("No space left on device (os error 28)"), "run/etl: No space"),
        (OSError("File too large (os error 27)"), "run/etl: File too large."),
        (OSError("[Errno 28] Error writing bytes to file. Detail: [errno 28] x"), "run/etl: No sp"),
        (OSError("run/etl/s.index: No space left on device"), "run/etl: No space left on device."),
        (RuntimeError("unable to write to file </torch_1>: No space left on device (28)"), "No sp"),
        (raised_from(ValueError("cannot write"), full()), "run/etl: No space left on device."),
        (OSError(errno.EIO, "Input/output error", "log.csv"), "log.csv: Input/output error."),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "out of memory: run/etl"),
        (MemoryError(), "out of memory: run/etl. Give the process more memory"),
        (MemoryError("Unable to allocate 8 TiB"), "out of memory: run/etl: Unable to allocate 8 T"),
        (pa.ArrowMemoryError("malloc of size 64 failed"), "out of memory: run/etl: malloc of size"),
        (RuntimeError("std::bad_alloc"), "out of memory: run/etl: std::bad_alloc. Give"),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
            "out of memory",
        ),
        (
            RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
            "out of memory: run/etl: CUD",
        ),
        (RuntimeError("can't start new thread"), "out of memory: run/etl"),
        (ImportError("x.so: failed to map segment from shared object"), "out of memory: run/etl"),
        (OSError("ZSTD failed: Allocation error : not enough memory"), "out of memory: run/etl"),
    ],
)
def test_an_error_of_the_machine_is_one_line_in_whatever_type_it_comes(
    capsys: pytest.CaptureFixture[str], error: Exception, line: str
) -> None:
    def body() -> None:
        with machine_errors(Path("run/etl")):
            raise error

    status, text = ended(body, capsys)
    assert status == 2 and line in text and text.startswith("error: ")
    status, text = ended(raises(error), capsys)
    assert status == 2 and text.startswith("error: ") and "run/etl," not in text


@pytest.mark.parametrize(
    "error",
    [ValueError("x"), OSError("no number"), raised_from(ValueError("x"), KeyError("y"))],
    ids=str,
)
def test_a_bug_in_a_stage_keeps_its_type(error: Exception) -> None:
    with pytest.raises(type(error)), exit_status(), machine_errors(Path("run/etl")):
        raise error


@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-", ">/dev/full 2>&1"])
def test_an_error_that_cannot_be_shown_keeps_its_status(redirection: str) -> None:
    code = "from plumbline.base.exit_status import *\nwith exit_status(): raise PlumblineError('x')"
    command = f'"{sys.executable}" -c "{code}" {redirection}'
    assert subprocess.run(command, shell=True, check=False).returncode == 2
