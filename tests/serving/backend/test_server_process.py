"""A model's process ends with its server."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

MODEL = """
import os, sys, time
from pathlib import Path
from plumbline.serving.backend.server_process import end_with_server
file, *words = sys.argv[1:]
command_line = "\\0".join([*words, ""]).replace("PARENT", str(os.getppid()))
Path(file).write_text(command_line)
end_with_server(Path(file))
print("serves", os.getpid(), flush=True)
time.sleep(60)
"""
SERVER = "import subprocess, sys; subprocess.run([sys.executable, '-c', *sys.argv[1:]])"
STUB = ("/t/triton_python_backend_stub", "/r/model.py")


def server(command_line: tuple[str, ...], tmp_path: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", SERVER, MODEL, tmp_path / "cmdline", *command_line],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("command_line", [(*STUB, "PARENT", "x"), ("another_program",)])
def test_it_ends_when_its_server_is_killed(command_line: tuple[str, ...], tmp_path: Path) -> None:
    running = server(command_line, tmp_path)
    assert running.stdout is not None
    assert running.stdout.readline().startswith("serves")
    running.kill()
    assert running.stdout.read() == "", "its end closes the pipe"
    running.wait()


def test_it_ends_at_once_if_another_process_is_its_parent_by_now(tmp_path: Path) -> None:
    running = server((*STUB, "4194305"), tmp_path)
    assert running.communicate(timeout=30)[0] == ""
