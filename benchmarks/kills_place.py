"""A folder where runs are started, killed and looked after; for `benchmarks/kills.py`."""

from __future__ import annotations

import os
import random
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, TypeAlias

import yaml

import plumbline
from plumbline.base.files import remove
from plumbline.cli import main
from plumbline.stages.run_all import STAGES

GRACE_SECONDS = 5.0
"""Time for what is left behind to end by itself."""
SHARED_MEMORY = Path("/dev/shm")
_CACHE = "torchinductor_"
"""A folder that torch keeps for all runs."""
_REGION = re.compile(r"plumbline_[0-9a-f]{16}_")

_WARM = (
    "plumbline.nvtabular.graphs",
    "plumbline.stages.report",
    "plumbline.dlrm.train.fused_trainer",
    "plumbline.dlrm.train.training",
    "plumbline.dlrm.data.parquet_loader",
    *(f"plumbline.stages.{stage}" for stage in STAGES),
)
"""Modules that a run imports, which takes seconds."""

Killed: TypeAlias = Literal["itself", "all", "one"]
"""The run's own process; also all that it has started; or one of those alone."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A process that starts a run or goes on with it."""

    process: int
    log: Path

    def has_ended(self) -> bool:
        return os.waitid(os.P_PID, self.process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def status(self) -> int:
        """Its exit status, or minus the signal; waits for its end."""
        return os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])

    def wait(self, seconds: float) -> None:
        """Wait so long, or until the process ends."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.has_ended():
            time.sleep(0.002)

    def wait_for(self, stage: str) -> None:
        """Wait until the stage begins, or the process ends."""
        while stage not in self.log.read_text(encoding="utf-8").splitlines():
            if self.has_ended():
                return
            time.sleep(0.002)


class Workplace:
    """A folder with a configuration, where runs are started and killed."""

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        self._temporary = folder / "tmp"
        self._temporary.mkdir()
        os.environ["TMPDIR"] = str(self._temporary)
        self._prefixes: set[str] = set()
        self.options: tuple[str, ...] = ()
        """Options of every run."""
        self._config = folder / "kills.yaml"
        self._config.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
        for module in _WARM:
            import_module(module)

    def start(self, run: Path) -> Attempt:
        """Start a run or go on with it, in a process group of its own.

        The process is a fork, which has imported all modules.
        """
        log = run.with_suffix(".log")
        log.write_text("", encoding="utf-8")
        process = os.fork()
        if process == 0:
            status = 1
            try:
                os.setpgid(0, 0)
                output = os.open(log, os.O_WRONLY)
                for stream in (1, 2):
                    os.dup2(output, stream)
                words = ("--config", str(self._config), "--out", str(run), *self.options)
                sys.argv = [str(Path(plumbline.__file__).with_name("__main__.py")), "run", *words]
                main()
                status = 0
            except SystemExit as end:
                status = int(end.code or 0)
            finally:
                sys.stderr.flush()
                os._exit(status)
        return Attempt(process, log)

    def kill(self, attempt: Attempt, killed: Killed) -> bool:
        """Returns False if there was nothing to kill any more."""
        if attempt.has_ended():
            return False
        self._prefixes |= set(self._named_regions())
        if killed == "one":
            others = [other for other in self._processes() if other != attempt.process]
            if not others:
                return False
            with suppress(ProcessLookupError):
                os.kill(random.choice(others), signal.SIGKILL)
            return True
        os.kill(attempt.process, signal.SIGKILL)
        if killed == "all":
            self._kill_others()
        return True

    def _kill_others(self) -> int:
        others = list(self._processes())
        for other in others:
            with suppress(ProcessLookupError):
                os.kill(other, signal.SIGKILL)
        return len(others)

    def left_behind(self, *, with_memory: bool) -> Counter[str]:
        """What is still there some seconds after a kill; it is removed.

        The shared memory of a server whose guard was killed too is removed by the next server's
        start: look `with_memory` after that.
        """
        end = time.monotonic() + GRACE_SECONDS
        while any(self._processes()) and time.monotonic() < end:
            time.sleep(0.1)
        processes = self._kill_others()
        prefixes = self._prefixes if with_memory else ()
        regions = [file for prefix in prefixes for file in SHARED_MEMORY.glob(f"{prefix}*")]
        folders = [path for path in self._temporary.iterdir() if not path.name.startswith(_CACHE)]
        for path in (*regions, *folders):
            remove(path)
        counts = {
            "processes": processes,
            "shared memory": len(regions),
            "temporary folders": len(folders),
        }
        return Counter({kind: count for kind, count in counts.items() if count})

    def _processes(self) -> Iterator[int]:
        """Processes that runs of this workplace have started: they have its temporary folder."""
        mark = f"TMPDIR={self._temporary}\0".encode()
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if int(folder.name) != os.getpid() and mark in (folder / "environ").read_bytes():
                    yield int(folder.name)
            except OSError:  # it has ended, or is not ours
                continue

    def _named_regions(self) -> Iterator[str]:
        """How the shared memory of the running servers is named, from their command lines."""
        for process in self._processes():
            with suppress(OSError):
                yield from _REGION.findall(Path(f"/proc/{process}/cmdline").read_text())
