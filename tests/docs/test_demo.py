"""The demo of docs/start.md as a new user types it, and what other pages do with its run.

Only the ports differ, so that servers of other tests are not in the way, and curl ends with an
error if a server answers with one.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import polars as pl
import pytest

from plumbline.serving.launch.ports import listener, port_of
from plumbline.serving.launch.server_options import LOOPBACK
from tests.conftest import ROOT
from tests.docs.blocks import ALL, Block, blocks_run_by
from tests.docs.command_lines import simple_commands

PAGES = (
    "docs/start.md",
    "docs/commands.md",
    "docs/serving.md",
    "docs/gateway.md",
    "docs/server.md",
    "docs/deployment.md",
)
"""In the order in which they are read: the first one makes the run and starts the server."""

START_SECONDS, SECONDS = 180, 400


class Demo:
    """A shell in an empty folder, in which blocks are run one after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.services: list[subprocess.Popen[str]] = []
        with ExitStack() as opened:
            listeners = [opened.enter_context(listener("test", LOOPBACK, 0)) for _ in range(4)]
            ports = map(port_of, listeners)
            self._ports = dict(zip(("8000", "8001", "8002", "8080"), ports, strict=True))
        beside = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self._environment = {**os.environ, "PATH": beside, "COLUMNS": "200"}
        self._environment.pop("PLUMBLINE_REPOSITORY", None)

    def run(self, block: Block) -> str:
        """Its output; it must end well."""
        done = subprocess.run(
            self._words(block),
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        assert done.returncode == 0, f"{block.place}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def start(self, block: Block, until: str) -> None:
        """Start it, and go on as soon as it has printed this."""
        log = self.folder / "service.log"
        with log.open("w") as output:
            service = subprocess.Popen(
                self._words(block),
                cwd=self.folder,
                env=self._environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        self.services.append(service)
        end = time.monotonic() + START_SECONDS
        while until not in log.read_text():
            assert service.poll() is None and time.monotonic() < end, log.read_text()
            time.sleep(0.1)

    def _words(self, block: Block) -> list[str]:
        text = block.text
        for shown, free in self._ports.items():
            text = re.sub(rf"\b(localhost|127\.0\.0\.1):{shown}\b", rf"\1:{free}", text)
        if block.language == "python":
            return [sys.executable, "-c", text]
        http, grpc, metrics, gateway = self._ports.values()
        text = re.sub(
            r"(?m)^plumbline server .*$",
            rf"exec \g<0> --http-port {http} --grpc-port {grpc} --metrics-port {metrics} "
            rf"--gateway-port {gateway}",
            text,
        )
        text = re.sub(r"(?m)^plumbline score .*$", rf"\g<0> --url 127.0.0.1:{grpc}", text)
        text = re.sub(r"(?m)^curl ", "curl --fail-with-body --silent --show-error ", text)
        return ["bash", "-euo", "pipefail", "-c", text]


@contextmanager
def demo(folder: Path) -> Iterator[Demo]:
    shell = Demo(folder)
    try:
        yield shell
    finally:
        for service in shell.services:
            service.send_signal(signal.SIGINT)
            try:
                service.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(service.pid, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_pages_as_a_new_user_follows_them(tmp_path: Path) -> None:
    shown = []
    with demo(tmp_path) as shell:
        for page in PAGES:
            for block in blocks_run_by(__file__, page):
                if block.is_service:
                    shell.start(block, until="Ctrl-C stops it")
                else:
                    shown.append(shell.run(block))
        (service,) = shell.services
        service.send_signal(signal.SIGINT)
        assert service.wait(60) == 0
    everything = "\n".join(shown)
    assert "check" not in shown[1], "init is certain about this log"
    assert "Better than logistic regression" in everything
    assert "ids identical True" in everything
    assert "The run is complete." in everything
    assert (tmp_path / "runs/clicks/report.html").is_file()
    scores = pl.read_csv(tmp_path / "scores.csv")
    assert scores.columns == ["user", "category", "click_probability"] and scores.height == 6000
    assert '"click_probability":' in everything


def test_the_readme_has_the_same_commands() -> None:
    """So that what it says of one's own data is run too."""
    run = {" ".join(c) for b in blocks_run_by(__file__, PAGES[0]) for c in simple_commands(b.text)}
    (steps,) = blocks_run_by(__file__, "README.md")
    assert {" ".join(words) for words in simple_commands(steps.text)} <= run


def test_every_page_with_blocks_for_this_test_is_read() -> None:
    named = {
        b.page.relative_to(ROOT).as_posix() for b in ALL if b.run_by == "tests/docs/test_demo.py"
    }
    assert named == {*PAGES, "README.md"}
