"""Stage etl as a command, on every engine, with a number of this machine's cores."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import yaml

from benchmarks.criteo_rows import LOG, write_text
from benchmarks.harness import OURS, python_output
from plumbline.base.errors import DataError
from plumbline.base.files import file_sha256
from plumbline.features.plan.plan import PLAN_FILE

CONFIG = {
    "name": "scale",
    "log": LOG,
    "split": {"by": "hash", "valid": 0.05, "test": 0.05},
    "workflow": {"graph": "criteo", "options": {"frequency_threshold": 15}},
}


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine of `plumbline etl`; its workers are as many as the cores that it is given."""

    name: str
    options: tuple[str, ...]
    package: str = "plumbline"
    """Left out where it cannot be imported."""

    @property
    def is_installed(self) -> bool:
        return find_spec(self.package) is not None


ENGINES = (
    Engine(OURS, ("--engine", "native")),
    Engine("spark", ("--engine", "spark"), "pyspark"),
    Engine("dask", ("--engine", "nvtabular", "--scheduler", "local")),
)


@dataclass(slots=True)
class EtlCommands:
    """Runs the stage on one log; each engine has its own run, whose stage ingest is done first."""

    scratch: Path
    plans: dict[str, str] = field(default_factory=dict)
    """Engine to the hash of its plan."""

    def write_log(self, rows: int) -> None:
        (self.scratch / "scale.yaml").write_text(yaml.safe_dump(CONFIG, sort_keys=False))
        write_text(self.scratch / "log" / "day_0.tsv", rows)

    def seconds(self, engine: Engine, cores: int) -> float:
        """Raises DataError if the command fails."""
        out = self.scratch / engine.name
        if not out.exists():
            self._run("ingest", out, cores, engine.options)
        start = time.perf_counter()
        self._run("etl", out, cores, (*engine.options, "--force"))
        seconds = time.perf_counter() - start
        self.plans[engine.name] = file_sha256(out / "etl" / "plan" / PLAN_FILE)
        return seconds

    def check_equal(self) -> None:
        """Raise DataError if an engine's plan is not that of ours."""
        for name, plan in self.plans.items():
            if plan != self.plans[OURS]:
                raise DataError(f"the plan of {name} is not that of our engine: not equal work.")

    def _run(self, stage: str, out: Path, cores: int, options: tuple[str, ...]) -> None:
        words = ["-m", "plumbline", stage, "--config", str(self.scratch / "scale.yaml")]
        words += ["--data", str(self.scratch / "log"), "--out", str(out), *options]
        on_cores = ("taskset", "--cpu-list", f"0-{cores - 1}")
        python_output(" ".join((stage, *options)), words, on_cores)
