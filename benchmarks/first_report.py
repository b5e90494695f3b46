"""Time from a new file to its first report: `init.py`, then all stages.

    python benchmarks/first_report.py FILE [--label NAME] [--json FILE]

The configuration that init writes is used unchanged. Bank marketing (UCI 222,
`bank-additional-full.csv.gz --label y`) must take at most a minute on two idle cores.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.harness import OURS, Benchmark, parser

PIPELINES = Path(__file__).parent.parent / "pipelines"
MOST_SECONDS = 60.0


def seconds_of(command: list[str]) -> float:
    """Seconds that a command takes, which must succeed; its output goes to the terminal."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *command], check=True)
    return time.perf_counter() - start


def main() -> None:
    arguments = parser(__doc__)
    arguments.formatter_class = argparse.RawDescriptionHelpFormatter
    arguments.add_argument("file", type=Path, help="CSV, TSV or Parquet")
    arguments.add_argument("--label", help="the label's column, if init does not find it")
    options = arguments.parse_args()
    label = [] if options.label is None else ["--label", options.label]
    benchmark = Benchmark("first_report")
    seconds: dict[str, list[float]] = {"init": [], "run_all": []}
    for _ in range(1 if options.quick else 3):
        with tempfile.TemporaryDirectory() as temporary:
            config = str(Path(temporary) / "config.yaml")
            init = [str(PIPELINES / "init.py"), str(options.file), *label, "--out", config]
            run_all = [str(PIPELINES / "run_all.py"), "--config", config]
            run_all += ["--data", str(options.file), "--out", str(Path(temporary) / "run")]
            seconds["init"].append(seconds_of(init))
            seconds["run_all"].append(seconds_of(run_all))
    totals = [sum(pair) for pair in zip(*seconds.values(), strict=True)]
    for step, figures in {**seconds, "file to report.json": totals}.items():
        benchmark.add(step, "seconds", {OURS: figures})
    benchmark.at_most(f"{options.file.name}: seconds to report.json", max(totals), MOST_SECONDS)
    benchmark.report(options.json)


if __name__ == "__main__":
    main()
