"""A real server is killed, stopped and left behind in every way: right answers come back soon."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from plumbline.base.errors import PlumblineError
from plumbline.serving.check.probe import probe
from plumbline.serving.client.connection import SECRET_HEADER, Connection, secret_header
from plumbline.serving.launch.model_processes import instances_of
from plumbline.serving.launch.owned import REGIONS
from plumbline.serving.publish.live_server import LiveServer
from plumbline.serving.publish.publish import publish
from plumbline.serving.repository.release import Release
from tests.conftest import ROOT
from tests.serving.releases import ROWS, SETTINGS, export_repository, model_of, write_small_plan

SECONDS = 40.0
"""Far above the few seconds that a restart takes on an idle machine."""
ANY_PORTS = ("--http-port", "0", "--grpc-port", "0", "--metrics-port", "0")


@dataclass(frozen=True)
class Launched:
    """A running `plumbline server` with its own folder for temporary files."""

    repository: Path
    temporary: Path
    process: subprocess.Popen[str]
    url: str

    @classmethod
    def start(cls, repository: Path, temporary: Path, *options: str) -> Launched:
        temporary.mkdir(exist_ok=True)
        process = subprocess.Popen(
            [sys.executable, "-m", "serving.server", str(repository), *ANY_PORTS, *options],
            cwd=ROOT,
            env={**os.environ, "NO_COLOR": "1", "COLUMNS": "300", "TMPDIR": str(temporary)},
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        line = process.stderr.readline()
        served = re.match(r"HTTP (\S+),", line)
        assert served is not None, line
        return cls(repository, temporary, process, served[1])

    @property
    def guard(self) -> int:
        return next(p for p in children(self.process.pid) if "guard.py" in command_line(p))

    @property
    def triton(self) -> int:
        return wait_for(lambda: next(iter(children(self.guard)), None))

    def stub(self, model: str) -> int:
        return next(p for p, one in instances_of(self.guard).items() if one.model == model)

    @property
    def regions(self) -> list[Path]:
        prefix = Path(command_line(self.guard).split("\0")[4]).name
        return list(REGIONS.glob(f"{prefix}*"))

    def answers(self) -> bool:
        try:
            probe(self.url, "http", self.repository, 5.0)
        except PlumblineError:
            return False
        return True

    def says(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.readline()

    def comes_back(self) -> bool:
        """Triton 2.51 sometimes aborts as it starts. It is started again then."""
        while "ended with status -6 before it was ready" in (line := self.says()):
            assert "It is started again in" in line
        return line.startswith("It was restarted.")

    def processes(self) -> list[int]:
        """All but the launcher."""
        return [self.guard, self.triton, *instances_of(self.guard)]


def children(process: int) -> list[int]:
    tasks = Path(f"/proc/{process}/task").glob("*/children")
    return [int(child) for listed in tasks for child in listed.read_text().split()]


def command_line(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().decode()
    except FileNotFoundError:
        return ""


def wait_for(found: Callable[[], int | bool | None]) -> int:
    give_up = time.monotonic() + SECONDS
    while not (value := found()):
        assert time.monotonic() < give_up
        time.sleep(0.05)
    return int(value)


def all_gone(processes: list[int]) -> bool:
    """A zombie has no command line."""
    return not any(command_line(process) for process in processes)


def release_of(folder: Path, number: int) -> Release:
    plan = write_small_plan(folder / f"plan{number}", ["Oslo", "Rome", "Paris"][: number + 1])
    return Release.of(plan, model_of(plan, folder / f"model{number}", number), ROWS, SETTINGS)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    plan = write_small_plan(folder / "plan", ["Oslo", "Rome"])
    model = model_of(plan, folder / "model", seed=1)
    return export_repository(plan, model, folder / "out", SETTINGS, ROWS)


@pytest.fixture(scope="module")
def launched(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    running = Launched.start(repository, tmp_path_factory.mktemp("temporary"))
    yield running
    processes, regions = running.processes(), running.regions
    running.process.send_signal(signal.SIGTERM)
    _, errors = running.process.communicate(timeout=SECONDS)
    assert running.process.returncode == 0 and errors == "Stopped.\n"
    assert all_gone(processes) and not any(region.exists() for region in regions)
    assert not list(running.temporary.iterdir())


def test_a_killed_model_process(launched: Launched) -> None:
    assert launched.answers()
    os.kill(launched.stub("ctr_fused"), signal.SIGKILL)
    assert "model 'ctr_fused'" in launched.says().lower()
    assert launched.comes_back()
    assert launched.answers()


def test_a_killed_server_that_is_killed_again_while_it_starts(launched: Launched) -> None:
    first = launched.triton
    regions = launched.regions
    os.kill(first, signal.SIGKILL)
    assert launched.says() == "The Triton server died (Killed).\n"
    second = wait_for(lambda: launched_again(launched, first))
    os.kill(second, signal.SIGKILL)
    failed = launched.says()
    assert "ended with status -9 before it was ready" in failed
    assert "It is started again in 0" in failed or "It is started again in 1" in failed
    assert launched.comes_back()
    assert launched.answers()
    assert not {region for region in regions if region.exists()} - {
        region for region in regions if region.name.endswith("lock")
    }


def launched_again(launched: Launched, first: int) -> int | None:
    """The server after the first one, as soon as it runs Triton."""
    try:
        server = launched.triton
    except StopIteration:
        return None
    return server if server != first and "tritonserver" in command_line(server)[:300] else None


def test_a_stopped_model_process(launched: Launched) -> None:
    stopped = launched.stub("ctr_dlrm")
    os.kill(stopped, signal.SIGSTOP)
    launched.says()
    assert launched.comes_back()
    assert all_gone([stopped])
    assert launched.answers()


@pytest.mark.slow
def test_publishing_is_no_failure(tmp_path: Path) -> None:
    """Versions come, and the processes of older ones end, under checks all the time."""
    secret = tmp_path / "secret"
    secret.write_text("0123456789abcdef")
    live = tmp_path / "live"
    publish(release_of(tmp_path, 0), live, SETTINGS, None, lambda line: None)
    options = ("--allow-model-control", "--secret-file", str(secret), "--check-seconds", "0.1")
    running = Launched.start(live, tmp_path / "temporary", *options)
    shown = secret_header("http", SECRET_HEADER, secret.read_text())
    control = LiveServer(Connection(running.url, "http", 60.0, shown))
    for number in (1, 2):
        publish(release_of(tmp_path, number), live, SETTINGS, control, lambda line: None)
    control.close()
    assert running.answers()
    running.process.send_signal(signal.SIGTERM)
    assert running.process.communicate(timeout=SECONDS)[1] == "Stopped.\n"


def test_a_killed_launcher_leaves_nothing(repository: Path, tmp_path: Path) -> None:
    running = Launched.start(repository, tmp_path / "temporary")
    processes, regions = running.processes(), running.regions
    assert len(processes) == 5 and len(regions) == 4
    running.process.kill()
    wait_for(lambda: all_gone(processes))
    assert not any(region.exists() for region in regions)
    assert not list(running.temporary.iterdir())


@pytest.mark.slow
def test_a_killed_launcher_and_guard_leave_nothing_for_longer_than_to_the_next_start(
    repository: Path, launched: Launched, tmp_path: Path
) -> None:
    """What belongs to the other running server stays."""
    running = Launched.start(repository, tmp_path / "temporary")
    processes, regions = running.processes(), running.regions
    for process in (running.process.pid, running.guard):
        os.kill(process, signal.SIGKILL)
    wait_for(lambda: all_gone(processes))
    again = Launched.start(repository, tmp_path / "temporary")
    assert not any(region.exists() for region in regions)
    assert len(list(again.temporary.iterdir())) == 1
    again.process.send_signal(signal.SIGINT)
    again.process.communicate(timeout=SECONDS)
    assert not list(again.temporary.iterdir())
    assert launched.answers()
