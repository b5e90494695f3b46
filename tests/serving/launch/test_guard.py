"""The guard between the launcher and the server: what it passes on, and what it removes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from plumbline.serving.launch import guard

SERVER = """
import os, signal, subprocess, sys, time
from pathlib import Path
folder = Path(sys.argv[1])
IGNORES = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"
for number, session in enumerate((False, True)):
    model = subprocess.Popen(
        [sys.executable, "-c", IGNORES],
        start_new_session=session,
    )
    (folder / f"model{number}").write_text(str(model.pid))
(folder / "region_1").touch()
(folder / "server.partial").write_text(str(os.getpid()))
(folder / "server.partial").rename(folder / "server")
"""
SLEEPS = "time.sleep(60)\n"
OWNER = """
import os, subprocess, sys, time
subprocess.Popen([sys.executable, "-I", sys.argv[1], str(os.getpid()), *sys.argv[2:]])
time.sleep(60)
"""


def words(folder: Path, body: str) -> list[str]:
    """The guard's arguments after the owner."""
    (folder / "temporary").mkdir()
    return [
        *(str(folder / "region_"), json.dumps([str(folder / "temporary")]), "[]"),
        *(sys.executable, "-c", SERVER + body, str(folder)),
    ]


def guarded(folder: Path, body: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-I", guard.__file__, str(os.getpid()), *words(folder, body)]
    return subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)


def number_in(file: Path) -> int:
    give_up = time.monotonic() + 20
    while not file.exists():
        assert time.monotonic() < give_up, f"no {file}"
        time.sleep(0.01)
    return int(file.read_text())


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def assert_ends(folder: Path, *names: str) -> None:
    give_up = time.monotonic() + 10
    while any(is_running(number_in(folder / name)) for name in names):
        assert time.monotonic() < give_up
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("raise SystemExit(0)", 0),
        ("raise SystemExit(3)", 3),
        ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        ("os.kill(os.getpid(), signal.SIGSEGV)", -signal.SIGSEGV),
        ("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
    ],
)
def test_it_ends_as_the_server_ended_and_leaves_nothing(
    tmp_path: Path, body: str, status: int
) -> None:
    assert guarded(tmp_path, body).wait(20) == status
    assert_ends(tmp_path, "model0", "model1")
    assert not (tmp_path / "region_1").exists()
    assert (tmp_path / "temporary").exists(), "the launcher still needs it"


@pytest.mark.parametrize(
    ("sent", "body", "status"),
    [
        (signal.SIGTERM, SLEEPS, -signal.SIGTERM),
        (signal.SIGINT, "signal.signal(2, lambda *_: sys.exit(7))\n" + SLEEPS, 7),
        (signal.SIGQUIT, "signal.signal(15, signal.SIG_IGN)\n" + SLEEPS, -signal.SIGKILL),
    ],
)
def test_signals_reach_the_server(
    tmp_path: Path, sent: signal.Signals, body: str, status: int
) -> None:
    (tmp_path / "set").mkdir()
    body = body.replace(SLEEPS, f"(folder / 'set' / 'up').write_text('1')\n{SLEEPS}")
    running = guarded(tmp_path, body)
    number_in(tmp_path / "set" / "up")
    running.send_signal(sent)
    assert running.wait(20) == status


@pytest.mark.parametrize("killed", ["owner", "owner and guard"])
def test_the_servers_group_ends_with_its_owner(tmp_path: Path, killed: str) -> None:
    command = [sys.executable, "-c", OWNER, guard.__file__, *words(tmp_path, SLEEPS)]
    owner = subprocess.Popen(command)
    server = number_in(tmp_path / "server")
    parent = int(Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()[1])
    owner.kill()
    if killed == "owner":
        assert_ends(tmp_path, "server", "model0", "model1")
        give_up = time.monotonic() + 10
        while is_running(parent):
            assert time.monotonic() < give_up
        assert not (tmp_path / "region_1").exists() and not (tmp_path / "temporary").exists()
    else:
        os.kill(parent, signal.SIGKILL)
        assert_ends(tmp_path, "server")
        for model in ("model0", "model1"):  # Triton's end by themselves
            os.kill(number_in(tmp_path / model), signal.SIGKILL)
    owner.wait()


def test_a_program_that_cannot_be_run_is_named(tmp_path: Path) -> None:
    command = [sys.executable, "-I", guard.__file__, str(os.getpid()), str(tmp_path / "r_"), "[]"]
    done = subprocess.run([*command, "[]", "/nowhere"], capture_output=True, text=True, check=False)
    assert done.returncode == 127
    assert done.stderr == "error: /nowhere: cannot be run (No such file or directory).\n"
