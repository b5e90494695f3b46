"""A day appended to a run with a history, against a run on the same day alone.

Both sides read the same file, split it in the same way, and run the stages ingest, etl, train and
evaluate. The appended day also scores its rows with the old model, and reads, counts on and writes
the distinct values of the whole history. Rare values are new on every day, so the vocabularies grow
from day to day, as those of real logs do. Two models: a small one, for which the features are most
of the work, and one with the usual layers for Criteo's challenge.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.criteo_rows import LOG
from benchmarks.harness import OURS, Benchmark, parser
from plumbline.rawlogs.click_model import write_logs
from plumbline.settings import ClickModel, Config
from plumbline.stages.day_check import check_day
from plumbline.stages.parent import config_of_day
from plumbline.stages.run import Run
from plumbline.stages.run_all import stage_named

STAGES = ("ingest", "etl", "train", "evaluate")
ALONE = "the day alone"
MOST_TIMES = 1.3
"""At most, an appended day may take so many times as long as the day alone."""

CONFIG: dict[str, Any] = {
    "name": "append",
    "log": LOG,
    "split": {"by": "hash", "valid": 0.05, "test": 0.05},
    "workflow": {"graph": "criteo", "options": {"frequency_threshold": 2}},
    "training": {"epochs": 1, "batch_size": 1024},
}
DAYS, QUICK_DAYS, QUICK_ROWS = 20, 3, 4_000


@dataclass(frozen=True, slots=True)
class Case:
    """A model, and the rows of a day."""

    name: str
    bottom_mlp: tuple[int, ...]
    top_mlp: tuple[int, ...]
    rows: int
    repeats: int

    @property
    def config(self) -> Config:
        layers = {"bottom_mlp": list(self.bottom_mlp), "top_mlp": list(self.top_mlp)}
        return Config.model_validate(CONFIG | {"model": {"embedding_dim": 16, **layers}})


CASES = (
    Case("small layers", (64, 16), (128, 64), 400_000, 3),
    Case("usual layers", (512, 256, 64, 16), (512, 256), 200_000, 2),
)


def drawn(config: Config, folder: Path, days: int, rows: int) -> tuple[Path, ...]:
    """A file a day, of one click model; rare values are new on every day."""
    sizes = [rows, rows // 2, rows // 10, 1000, 100, 10]
    vocabulary = tuple(itertools.islice(itertools.cycle(sizes), 26))
    model = ClickModel(rows=days * rows, days=days, vocabulary=vocabulary)
    return write_logs(model, config.log, 1, folder, lambda _: None)


def ran(run: Run, folder: Path) -> float:
    """Run the stages; returns the seconds."""
    start = time.perf_counter()
    if run.parent is not None:
        link = check_day(run, run.parent, folder, force=False)
        folder.mkdir(parents=True)
        link.write(folder)
    for name in STAGES:
        stage_named(name).ensure(run, folder)
    return time.perf_counter() - start


def measured(
    config: Config, folder: Path, data: tuple[Path, ...], parent: Path | None = None
) -> Callable[[], float]:
    """A side: each call is a run in a folder of its own."""
    here = config if parent is None else config_of_day(config)
    run = Run(here, data, "native", "fused", "cpu", None, "cpu", parent)
    numbers = itertools.count()
    return lambda: ran(run, folder / f"run {next(numbers)}")


def compare(benchmark: Benchmark, quick: bool) -> None:
    """Add the cases and their targets."""
    for case in CASES[:1] if quick else CASES:
        days, rows, repeats = (
            (QUICK_DAYS, QUICK_ROWS, 1) if quick else (DAYS, case.rows, case.repeats)
        )
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            *history, day = drawn(case.config, folder, days + 1, rows)
            measured(case.config, folder / "history", tuple(history))()
            parent = folder / "history" / "run 0"
            sides = {
                OURS: measured(case.config, folder / "appended", (day,), parent),
                ALONE: measured(case.config, folder / "alone", (day,)),
            }
            name = f"{case.name}, {rows:,} rows after {days} days of as many"
            times = 1 / benchmark.run(name, "seconds", sides, repeats).ratios[ALONE]
        what = f"{case.name}: an appended day over the day alone, at {days} days"
        benchmark.at_most(what, times, MOST_TIMES)


def main() -> None:
    options = parser(__doc__).parse_args()
    benchmark = Benchmark("append")
    compare(benchmark, options.quick)
    benchmark.report(options.json)


if __name__ == "__main__":
    main()
