"""Training side by side: full steps of a DLRM with data loading, on the CPU, at batch 8,192.

Sides (`benchmarks/train_sides.py`): our fused trainer with fp32 and with bf16 rows, torch eager in
fp32 and with autocast to bf16, `torch.compile`, TorchRec with FBGEMM (if installed by `make
peers`), and only the bf16 matrix products of the layers, a lower bound of a step. All train the
same model from the same weights on the same rows through our loader, with plain SGD on all
parameters; their losses must agree. Each run is its own process; the first steps, which include
compilation, are not timed.

The two models, `article` and `kaggle` (`benchmarks/train_work.py`), have 32.7 million embedding
rows, which take 16.8 GB in fp32 for `article`.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import distributions
from pathlib import Path

from benchmarks.harness import OURS, Benchmark, Case, has_amx, parser
from benchmarks.train_sides import (
    COMPILED,
    COMPILED_KEPT,
    EAGER_BF16,
    EAGER_FP32,
    OURS_BF16_ROWS,
    PRODUCTS,
    TORCHREC,
)
from benchmarks.train_work import CARDINALITIES, Work, article, kaggle, write_rows
from plumbline.base.errors import DataError
from plumbline.dlrm.model.architecture import Architecture

ROOT = Path(__file__).parent.parent
PEERS = ROOT / ".venv-peers"
PEERS_MISSING = f"{TORCHREC}: left out, no folder {PEERS.name}. `make peers` creates it."
NOT_NATIVE = "ours: in plain torch, because the native kernels were not built."

SIDES = (OURS, OURS_BF16_ROWS, EAGER_FP32, EAGER_BF16, COMPILED, COMPILED_KEPT, TORCHREC, PRODUCTS)
MODELS: dict[str, Callable[[Sequence[int]], Architecture]] = {"article": article, "kaggle": kaggle}
REPEATS = {"article": 2, "kaggle": 3}

BATCH_SIZE, WARM_UP, STEPS = 8192, 8, 32
QUICK_LARGEST_TABLE = 1000

AMX_SHARES = {
    "article": {OURS_BF16_ROWS: 0.75, OURS: 0.65},
    "kaggle": {OURS_BF16_ROWS: 0.5, OURS: 0.5},
}
"""Share of the products alone that each of our sides has to reach with tiles."""
AMX_TIMES_COMPILED = 2.0

LOSS_TOLERANCE = 1e-3
"""Relative tolerance; bf16 keeps 8 bits of a number, and a mean loss averages the errors."""


@dataclass(frozen=True, slots=True)
class Run:
    """The output of a side's process; see `benchmarks/train_sides.py`."""

    ms: float
    peak_mb: int
    native: bool
    waiting: float = math.nan
    loss: float = math.nan
    faults: float = math.nan
    """Page faults per step."""
    large_pages: float = math.nan
    """Share of the process' memory in large pages."""


@dataclass(slots=True)
class Runs:
    """Runs each side in its own process, and keeps its output."""

    work_file: Path
    rows_file: Path
    of: dict[str, list[Run]] = field(default_factory=dict)

    @classmethod
    def of_work(cls, work: Work, folder: Path) -> Runs:
        """Write the work and its rows to the folder."""
        runs = cls(folder / "work.json", folder / "rows.parquet")
        work.write(runs.work_file)
        write_rows(runs.rows_file, work.architecture, work.rows)
        return runs

    def ms(self, side: str) -> float:
        """Run once; returns milliseconds per step. Raises DataError if the side fails."""
        paths = [str(PEERS)] if side == TORCHREC else []
        paths += [path for path in (os.environ.get("PYTHONPATH"),) if path]
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.train_sides", side, self.work_file, self.rows_file],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            reason = f"status {done.returncode}: {done.stderr[-2000:]}"
            raise DataError(f"{side} failed with {reason}")
        run = Run(**json.loads(done.stdout.splitlines()[-1]))
        self.of.setdefault(side, []).append(run)
        return run.ms

    @property
    def waiting(self) -> float:
        """Our median share of time spent waiting for the loader."""
        return statistics.median(run.waiting for run in self.of[OURS])

    def check_losses(self) -> None:
        """Raise DataError if a side's loss differs from that of eager fp32."""
        wanted = self.of[EAGER_FP32][0].loss
        for side, runs in self.of.items():
            for run in runs if side != PRODUCTS else ():
                if not abs(run.loss / wanted - 1) <= LOSS_TOLERANCE:
                    raise DataError(
                        f"{side} has the mean loss {run.loss}, {EAGER_FP32} {wanted}: not equal "
                        "work."
                    )

    def note_if_not_native(self, benchmark: Benchmark) -> None:
        """Add a note if our side ran in plain torch, without the native kernels."""
        if not all(run.native for run in self.of[OURS]) and NOT_NATIVE not in benchmark.notes:
            benchmark.notes.append(NOT_NATIVE)

    def pages(self) -> str:
        """Page faults per step and share of memory in large pages, of ours and torch.compile."""
        return ", ".join(
            f"{side} {run.faults:.0f} and {run.large_pages:.0%}"
            for side in (OURS, OURS_BF16_ROWS, COMPILED)
            for run in self.of[side]
        )

    def peaks(self) -> str:
        peak_gb = {side: max(run.peak_mb for run in runs) / 1024 for side, runs in self.of.items()}
        return ", ".join(f"{side} {gigabytes:.1f} GB" for side, gigabytes in peak_gb.items())


def measure(
    benchmark: Benchmark, model: str, work: Work, sides: Sequence[str], repeats: int
) -> tuple[Case, Runs]:
    with tempfile.TemporaryDirectory() as folder:
        runs = Runs.of_work(work, Path(folder))
        rows, dim = sum(work.architecture.cardinalities), work.architecture.embedding_dim
        name = f"{model}, {rows:,} rows of {dim}"
        turns = {side: lambda side=side: runs.ms(side) for side in sides}
        case = benchmark.run(name, "ms a step", turns, repeats)
    runs.check_losses()
    runs.note_if_not_native(benchmark)
    benchmark.notes.append(f"Peak memory, {name}: {runs.peaks()}.")
    benchmark.notes.append(f"Page faults a step and memory in large pages, {name}: {runs.pages()}.")
    return case, runs


def judge_article(benchmark: Benchmark, case: Case, runs: Runs) -> None:
    ratios = case.ratios
    benchmark.at_least("article: times torch eager fp32", ratios[EAGER_FP32], 5.0)
    benchmark.at_least("article: times torch.compile bf16", ratios[COMPILED], 1.7)
    if TORCHREC in ratios:
        benchmark.at_least("article: times TorchRec with FBGEMM", ratios[TORCHREC], 2.0)
    else:
        benchmark.not_measured("article: times TorchRec with FBGEMM", 2.0)
    benchmark.at_least("article: share of the bf16 matrix products alone", ratios[PRODUCTS], 0.65)
    benchmark.at_most("article: share of time waiting for data", runs.waiting, 0.03)


def judge_kaggle(benchmark: Benchmark, case: Case, runs: Runs) -> None:
    benchmark.at_least("kaggle: times torch eager bf16", case.ratios[EAGER_BF16], 2.5)
    benchmark.at_most("kaggle: share of time waiting for data", runs.waiting, 0.03)


def judge_with_tiles(benchmark: Benchmark, model: str, case: Case) -> None:
    """The targets of processors with matrix tiles; not measured on others."""
    compiled = min(case.median(COMPILED), case.median(COMPILED_KEPT))
    for side, share in AMX_SHARES[model].items():
        rows = "bf16" if side == OURS_BF16_ROWS else "fp32"
        values = {
            "share of the bf16 matrix products alone": (case.median(PRODUCTS), share),
            "times torch.compile bf16": (compiled, AMX_TIMES_COMPILED),
        }
        for what, (milliseconds, target) in values.items():
            name = f"{model}, {rows} rows, AMX: {what}"
            if has_amx():
                benchmark.at_least(name, milliseconds / case.median(side), target)
            else:
                benchmark.not_measured(name, target)


JUDGES = {"article": judge_article, "kaggle": judge_kaggle}


def main() -> None:
    wanted = parser(__doc__)
    wanted.add_argument("--model", choices=MODELS, action="append", help="one of the two alone")
    options = wanted.parse_args()
    benchmark = Benchmark("train")
    sides = list(SIDES)
    if PEERS.is_dir():
        for name in ("torchrec", "fbgemm-gpu-cpu"):
            for peer in distributions(name=name, path=[str(PEERS)]):
                benchmark.versions[name] = peer.version
    else:
        sides.remove(TORCHREC)
        benchmark.notes.append(PEERS_MISSING)
    if options.quick:
        cardinalities = tuple(min(rows, QUICK_LARGEST_TABLE) for rows in CARDINALITIES)
        sides.remove(COMPILED_KEPT)
        work = Work(kaggle(cardinalities), batch_size=512, warm_up=2, steps=4)
        measure(benchmark, "kaggle", work, sides, repeats=1)
    else:
        for model in options.model or MODELS:
            work = Work(MODELS[model](CARDINALITIES), BATCH_SIZE, WARM_UP, STEPS)
            case, runs = measure(benchmark, model, work, sides, REPEATS[model])
            JUDGES[model](benchmark, case, runs)
            judge_with_tiles(benchmark, model, case)
    benchmark.report(options.json)


if __name__ == "__main__":
    main()
