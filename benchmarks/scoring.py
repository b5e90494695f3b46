"""Scoring encoded rows on the CPU: ours in bf16, fp32 and int8, and torch eager in bf16 and fp32.

The article's and Kaggle's models (`benchmarks/train_work.py`), tables of at most 200,000 rows; 1,
64 and 2,048 rows per call, all in memory. All sides have the same weights, and their probabilities
must agree. The torch side is `benchmarks/train_torch.py` in inference mode, with autocast for bf16.
For the largest call there are also only the bf16 matrix products of the layers, in torch.

Legend: B rows, F id columns, C continuous columns.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.harness import OURS, Benchmark, Case, has_amx, parser
from benchmarks.train_torch import Layers, SeparateTables
from benchmarks.train_work import CARDINALITIES, article, kaggle
from plumbline.base.errors import DataError
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.model.dlrm import DLRM
from plumbline.dlrm.ops.library import cpu_module
from plumbline.dlrm.score.scorer import Scorer

MODELS = {"article": article, "kaggle": kaggle}
LARGEST_TABLE, QUICK_LARGEST_TABLE = 200_000, 1000
ROWS = (1, 64, 2048)

NOT_NATIVE = "ours: in torch, because the native module was not built."

OURS_FP32 = "ours in fp32"
OURS_INT8 = "ours in int8"
EAGER_FP32 = "torch eager fp32"
EAGER_BF16 = "torch eager bf16"
PRODUCTS = "bf16 matrix products alone"

TARGETS = {("article", 1): 250.0, ("kaggle", 1): 25.0, ("article", 64): 1000.0}
"""Microseconds at most."""
RATES = {"article": 72_000.0, "kaggle": 350_000.0}
"""Rows a second at least, in the largest call."""

SHARE = 0.6
"""Of the rate of the products alone at least, on a processor with AMX."""

TOLERANCES = {OURS: 0.02, OURS_INT8: 0.02, EAGER_BF16: 0.02, OURS_FP32: 1e-5, EAGER_FP32: 0.0}
"""Tolerance of a probability, against torch in fp32."""

Score = Callable[[NDArray[np.int64], NDArray[np.float32]], NDArray[np.float32]]


def torch_eager(model: DLRM, *, bf16: bool) -> Score:
    """The model's weights in `benchmarks/train_torch.py`."""
    layers, tables = Layers(model.architecture), SeparateTables(model.architecture)
    with torch.no_grad():
        ours = [module for module in model.modules() if isinstance(module, nn.Linear)]
        theirs = [module for module in layers.modules() if isinstance(module, nn.Linear)]
        for mine, other in zip(ours, theirs, strict=True):
            other.load_state_dict(mine.state_dict())
        for position, rows_RD in enumerate(tables.weights()):
            rows_RD.copy_(model.tables.table(position))

    def score(ids_BF: NDArray[np.int64], dense_BC: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logit_B = layers(tables(torch.from_numpy(ids_BF)), torch.from_numpy(dense_BC))
            probability_B: NDArray[np.float32] = torch.sigmoid(logit_B).numpy()
            return probability_B

    return score


def sides_of(model: DLRM) -> dict[str, Score]:
    return {
        OURS: Scorer.of(model, precision="bf16").score,
        OURS_FP32: Scorer.of(model, precision="fp32").score,
        OURS_INT8: Scorer.of(model, precision="int8").score,
        EAGER_BF16: torch_eager(model, bf16=True),
        EAGER_FP32: torch_eager(model, bf16=False),
    }


def draw(architecture: Architecture, rows: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    generator = np.random.default_rng(rows)
    ids = [generator.integers(0, size, rows) for size in architecture.cardinalities]
    dense_BC = generator.standard_normal((rows, len(architecture.continuous)), np.float32)
    return np.stack(ids, axis=1), dense_BC


def check(
    sides: dict[str, Score], ids_BF: NDArray[np.int64], dense_BC: NDArray[np.float32]
) -> None:
    """Raise DataError unless all sides give the same probabilities; also serves as warm-up."""
    wanted_B = sides[EAGER_FP32](ids_BF, dense_BC)
    for side, score in sides.items():
        difference = float(np.abs(score(ids_BF, dense_BC) - wanted_B).max())
        if not difference <= TOLERANCES[side]:
            raise DataError(f"{side}: probabilities differ by {difference:.2g}: not equal work.")


def microseconds(
    score: Score, ids_BF: NDArray[np.int64], dense_BC: NDArray[np.float32], calls: int
) -> Callable[[], float]:
    """A side that returns the mean time of consecutive calls."""

    def side() -> float:
        start = time.perf_counter_ns()
        for _ in range(calls):
            score(ids_BF, dense_BC)
        return (time.perf_counter_ns() - start) / calls / 1e3

    return side


def products_alone(model: DLRM, rows: int) -> Callable[[], float]:
    """A side that returns the microseconds of one product of `rows` rows for each layer."""
    layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
    operands = [
        (torch.randn(rows, layer.in_features).bfloat16(), layer.weight.detach().bfloat16().T)
        for layer in layers
    ]

    def side() -> float:
        start = time.perf_counter_ns()
        for input_BI, weight_IO in operands:
            torch.mm(input_BI, weight_IO)
        return (time.perf_counter_ns() - start) / 1e3

    return side


def judge(benchmark: Benchmark, name: str, rows: int, case: Case) -> None:
    taken = case.median(OURS)
    if (name, rows) in TARGETS:
        benchmark.at_most(f"{case.name}: microseconds", taken, TARGETS[name, rows])
    if rows == ROWS[-1]:
        benchmark.at_least(f"{case.name}: rows/s", rows / taken * 1e6, RATES[name])
        benchmark.at_least(
            f"{case.name}: int8 over fp32", case.median(OURS_FP32) / case.median(OURS_INT8), 1.0
        )
        share = f"{case.name}: share of the bf16 products alone"
        if has_amx():
            benchmark.at_least(share, case.median(PRODUCTS) / taken, SHARE)
        else:
            benchmark.not_measured(f"{share} (not measured: no AMX)", SHARE)


def main() -> None:
    options = parser(__doc__).parse_args()
    repeats, calls = (1, 1) if options.quick else (9, 512)
    largest = QUICK_LARGEST_TABLE if options.quick else LARGEST_TABLE
    benchmark = Benchmark("scoring", notes=[NOT_NATIVE] if cpu_module() is None else [])
    for name, architecture_of in MODELS.items():
        model = DLRM(architecture_of([min(size, largest) for size in CARDINALITIES]), seed=1)
        sides = sides_of(model)
        for rows in ROWS:
            encoded = draw(model.architecture, rows)
            check(sides, *encoded)
            timed = {
                side: microseconds(score, *encoded, max(1, calls // rows))
                for side, score in sides.items()
            }
            if rows == ROWS[-1]:
                timed[PRODUCTS] = products_alone(model, rows)
            label = f"{name}, {rows:,} row{'s' if rows > 1 else ''}"
            judge(benchmark, name, rows, benchmark.run(label, "µs", timed, repeats))
    benchmark.report(options.json)


if __name__ == "__main__":
    main()
