"""A day appended to a run with a history, against a run on the same day alone.

Both sides read the same file, split it in the same way, and run the stages ingest, etl, train and
evaluate. The appended day also scores its rows with the old model, and reads, counts on and writes
the distinct values of the whole history. Rare values are new on every day, so the vocabularies grow
from day to day, as those of real logs do.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

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

CONFIG = Config.model_validate(
    {
        "name": "append",
        "log": {
            "separator": "\t",
            "header": False,
            "columns": {"label": "label", "I1..I13": "continuous", "C1..C26": "hex"},
        },
        "split": {"by": "hash", "valid": 0.05, "test": 0.05},
        "workflow": {"graph": "criteo", "options": {"frequency_threshold": 2}},
        "model": {"embedding_dim": 16, "bottom_mlp": [64, 16], "top_mlp": [128, 64]},
        "training": {"epochs": 1, "batch_size": 1024},
    }
)


def drawn(folder: Path, days: int, rows: int) -> tuple[Path, ...]:
    """A file a day, of one click model; rare values are new on every day."""
    sizes = [rows, rows // 2, rows // 10, 1000, 100, 10]
    vocabulary = tuple(itertools.islice(itertools.cycle(sizes), 26))
    model = ClickModel(rows=days * rows, days=days, vocabulary=vocabulary)
    return write_logs(model, CONFIG.log, 1, folder, lambda _: None)


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


def measured(folder: Path, data: tuple[Path, ...], parent: Path | None) -> Callable[[], float]:
    """A side: each call is a run in a folder of its own."""
    config = CONFIG if parent is None else config_of_day(CONFIG)
    run = Run(config, data, "native", "fused", "cpu", None, "cpu", parent)
    numbers = itertools.count()
    return lambda: ran(run, folder / f"run {next(numbers)}")


def main() -> None:
    options = parser(__doc__).parse_args()
    days, rows, repeats = (3, 4_000, 1) if options.quick else (20, 400_000, 3)
    benchmark = Benchmark("append")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        *history, day = drawn(folder, days + 1, rows)
        measured(folder / "history", tuple(history), None)()
        sides = {
            OURS: measured(folder / "appended", (day,), folder / "history" / "run 0"),
            ALONE: measured(folder / "alone", (day,), None),
        }
        case = benchmark.run(
            f"{rows:,} rows after {days} days of as many", "seconds", sides, repeats
        )
    benchmark.at_most(
        f"an appended day over the day alone, at {days} days", 1 / case.ratios[ALONE], MOST_TIMES
    )
    benchmark.report(options.json)


if __name__ == "__main__":
    main()
