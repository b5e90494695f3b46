"""One process on all cores beside several that divide them, on one machine's CPU.

One process trains with our kernels (`FusedTrainer`), several with TorchRec's tables and our layers
(`ShardedTrainer`), each with its share of the cores and of every batch. Both take the same rows
from our loader in the same batches, with row-wise Adagrad and Adam; their losses must agree. The
models are those of `benchmarks/train_work.py`. The first steps are not timed.

    python -m benchmarks.processes [--quick] [--json FILE] [--nproc N …] [--model MODEL]
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.harness import OURS, Benchmark, parser, python_output
from benchmarks.train_work import CARDINALITIES, Work, article, kaggle, write_rows
from plumbline.base.errors import DataError
from plumbline.base.threads import let_waiting_threads_sleep
from plumbline.dlrm.processes.requirements import missing_packages

PRECISIONS = ("fp32", "bf16")
MODELS = {"kaggle": kaggle, "article": article}
REPEATS = {"kaggle": 3, "article": 1}
"""A side takes a minute and a half with the article's tables of 17 GB."""
BATCH_SIZE, WARM_UP, STEPS = 8192, 8, 24
QUICK_LARGEST_TABLE = 1000
LOSS_TOLERANCE = {"fp32": 1e-5, "bf16": 1e-2}


@dataclass(slots=True)
class Sides:
    """Runs each side in processes of its own, and keeps the mean loss that it found."""

    work_file: Path
    rows_file: Path
    precision: str
    losses: dict[str, float] = field(default_factory=dict)

    def one(self) -> float:
        return self._ms(OURS, [])

    def several(self, count: int) -> Callable[[], float]:
        side = name_of(count)
        words = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
        return lambda: self._ms(side, words)

    def _ms(self, side: str, words: list[str]) -> float:
        """Milliseconds a step. Raises DataError if the side fails."""
        work = [str(self.work_file), str(self.rows_file), self.precision]
        printed = python_output(side, [*words, "-m", "benchmarks.processes_side", *work])
        figures = json.loads(printed.splitlines()[-1])
        self.losses[side] = figures["loss"]
        return float(figures["ms"])

    def check_losses(self) -> None:
        """Raise DataError if the sides' losses differ."""
        for side, loss in self.losses.items():
            if not math.isclose(loss, self.losses[OURS], rel_tol=LOSS_TOLERANCE[self.precision]):
                raise DataError(
                    f"{side} has the mean loss {loss}, {OURS} {self.losses[OURS]}: not equal work."
                )


def name_of(count: int) -> str:
    return f"{count} process{'es' if count > 1 else ''}, TorchRec"


def measure(
    benchmark: Benchmark, name: str, work: Work, counts: Sequence[int], repeats: int
) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        work.write(folder / "work.json")
        write_rows(folder / "rows.parquet", work.architecture, work.rows)
        for precision in PRECISIONS:
            sides = Sides(folder / "work.json", folder / "rows.parquet", precision)
            case = f"{name}, {precision}, batch {work.batch_size:,}"
            steps = {OURS: sides.one} | {name_of(count): sides.several(count) for count in counts}
            benchmark.run(case, "ms a step", steps, repeats)
            sides.check_losses()


def compare(
    benchmark: Benchmark, counts: Sequence[int], quick: bool, models: Sequence[str] = tuple(MODELS)
) -> None:
    """Add the cases: one process of ours beside so many processes of TorchRec."""
    let_waiting_threads_sleep()  # in the sides' processes, as in those of the commands
    if missing := missing_packages():
        benchmark.notes.append(
            f"TorchRec: left out, {' and '.join(missing)} cannot be imported. "
            "`make env DISTRIBUTED=1` installs them."
        )
    elif quick:
        cardinalities = tuple(min(rows, QUICK_LARGEST_TABLE) for rows in CARDINALITIES)
        work = Work(kaggle(cardinalities), batch_size=512, warm_up=2, steps=4)
        measure(benchmark, "kaggle", work, counts, repeats=1)
    else:
        for name in models:
            work = Work(MODELS[name](CARDINALITIES), BATCH_SIZE, WARM_UP, STEPS)
            measure(benchmark, name, work, counts, REPEATS[name])


def main() -> None:
    wanted = parser(__doc__)
    wanted.add_argument(
        "--nproc", type=int, nargs="+", default=[2], help="processes of the other sides"
    )
    wanted.add_argument("--model", choices=MODELS, action="append", help="one of the two alone")
    options = wanted.parse_args()
    benchmark = Benchmark("processes")
    compare(benchmark, options.nproc, options.quick, options.model or tuple(MODELS))
    benchmark.report(options.json)


if __name__ == "__main__":
    main()
