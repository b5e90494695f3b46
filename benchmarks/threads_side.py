"""One side of the threads benchmark, in its own process, whose environment sets its threads.

    python -m benchmarks.threads_side WORK.json ROWS.parquet

For each line on standard input, `train` or `score`, it prints a figure: the milliseconds of one of
our training steps, loading included, or of one scoring call on as many rows as a batch has.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import torch

from benchmarks.scoring import draw
from benchmarks.train_sides import Ours
from benchmarks.train_work import Work
from plumbline.dlrm.data.loader import Order
from plumbline.dlrm.data.parquet_loader import ParquetLoader
from plumbline.dlrm.ops.scoring.precision import scoring_precision
from plumbline.dlrm.score.scorer import Scorer


def measures_of(work: Work, file: Path) -> dict[str, Callable[[], float]]:
    ours = Ours(work.architecture, "auto")
    loader = ParquetLoader([file], work.architecture, work.batch_size)
    scorer = Scorer.of(
        ours.trainer.model, precision=scoring_precision("auto"), threads=torch.get_num_threads()
    )
    encoded = draw(work.architecture, work.batch_size)

    def train() -> float:
        with closing(loader.batches(Order(seed=1, epoch=0))) as batches:
            for _ in range(work.warm_up):
                ours.step(next(batches))
            start = time.perf_counter()
            for _ in range(work.steps):
                ours.step(next(batches))
            return 1000 * (time.perf_counter() - start) / work.steps

    def score() -> float:
        scorer.score(*encoded)
        start = time.perf_counter()
        for _ in range(work.steps):
            scorer.score(*encoded)
        return 1000 * (time.perf_counter() - start) / work.steps

    return {"train": train, "score": score}


def main(work_file: str, rows_file: str) -> None:
    measures = measures_of(Work.read(Path(work_file)), Path(rows_file))
    for line in sys.stdin:
        sys.stdout.write(f"{measures[line.strip()]()}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
