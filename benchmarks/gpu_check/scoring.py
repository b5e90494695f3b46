"""Scoring as `ctr_fused` of a GPU server does it: the scores, and how fast they come."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.gpu_check.calls import DIM, FEATURES
from benchmarks.gpu_check.place import Place, median
from benchmarks.gpu_check.report import Report
from benchmarks.gpu_check.training import architecture, draw_batch
from benchmarks.harness import OURS
from plumbline.columns.values import Lists
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.model.dlrm import DLRM
from plumbline.dlrm.ops.scoring.cuda import CudaPrecision, CudaScoring
from plumbline.dlrm.score.native_scoring import scoring_shape
from plumbline.dlrm.score.torch_scoring import TorchScoring, arrays_of

TOLERANCES: dict[CudaPrecision, float] = {"fp32": 1e-5, "bf16": 2e-2}
"""Of a probability, absolute: those with which a server checks its answers."""
BATCHES, SMALL_BATCHES = (1, 64, 2048), (1, 3, 20)
CARDINALITY = 20_000
CALLS = 50
TORCH = "torch on the device"


@dataclass(frozen=True)
class Rows:
    """Encoded rows on the host."""

    ids_BF: NDArray[np.int64]
    dense_BC: NDArray[np.float32]
    bags: tuple[Lists, ...]

    @staticmethod
    def draw(model: Architecture, count: int) -> Rows:
        batch = draw_batch(model, count, seed=count, device="cpu")
        bags = tuple(Lists(ids_N.numpy(), offsets_B1.numpy()) for ids_N, offsets_B1 in batch.bags)
        return Rows(batch.ids_BF.numpy(), batch.dense_BC.numpy(), bags)

    def take(self, rows: NDArray[np.int64]) -> Rows:
        return Rows(self.ids_BF[rows], self.dense_BC[rows], tuple(b.take(rows) for b in self.bags))


def check(place: Place, report: Report) -> None:
    """The article's layers, with 25 columns of one id and one of lists; no time fails."""
    small = place.is_small
    if small:
        of = _small()
    else:
        bottom, top = (512, 256), (1024, 1024, 512, 256)
        of = architecture([CARDINALITY] * FEATURES, DIM, bottom, top, lists=1)
    model = DLRM(of, seed=1, embedding_deviation=0.3)
    on_device = DLRM.of_weights(
        of, {name: tensor.to(place.device) for name, tensor in model.state_dict().items()}
    )
    table = []
    for precision in TOLERANCES:
        batches = SMALL_BATCHES if small else BATCHES
        scoring = _scoring(place, model, precision, max(batches))
        off = _check_scores(scoring, model, precision)
        report.checked(3)
        torch_scoring = TorchScoring(on_device, precision, None)
        with place.operators():
            for count in batches:
                rows = Rows.draw(of, count)
                sides = {
                    OURS: _microseconds(place, _call(scoring, rows)),
                    TORCH: _microseconds(place, _call(torch_scoring, rows)),
                }
                report.case(f"score {count:,} rows in {precision}", "µs", sides)
                report.checked()
                times = [f"{median(figures):,.0f}" for figures in sides.values()]
                table.append([precision, f"{count:,}", f"{off:.1e}", *times])
    columns = ["precision", "rows", "scores off by", "ours, µs", f"{TORCH}, µs"]
    report.table("Rows in the host's memory to scores there", columns, table)


def climb(precision: CudaPrecision, place: Place) -> None:
    """The checks of a small model."""
    model = DLRM(_small(), seed=1, embedding_deviation=0.3)
    _check_scores(_scoring(place, model, precision, most_rows=20), model, precision)


def _small() -> Architecture:
    return architecture([50] * 4, 8, (16,), (16, 8), lists=1)


def _scoring(place: Place, model: DLRM, precision: CudaPrecision, most_rows: int) -> CudaScoring:
    shape, weights = scoring_shape(model.architecture), arrays_of(model)
    return CudaScoring(place.library, 0, shape, weights, precision, most_rows)


def _check_scores(scoring: CudaScoring, model: DLRM, precision: CudaPrecision) -> float:
    """Returns the largest difference from the CPU's scores."""
    rows = Rows.draw(model.architecture, 20)
    on_cpu = TorchScoring(model, precision, None)
    wanted_B = on_cpu.score(rows.ids_BF, rows.dense_BC, rows.bags)
    assert wanted_B is not None
    got_B = _scores(scoring, rows)
    off = float(np.abs(got_B - wanted_B).max())
    assert off <= TOLERANCES[precision], f"{precision}: scores are {off:.2g} off the CPU's"
    for part in np.split(np.arange(len(got_B)), [1, 3]):
        alone_B = _scores(scoring, rows.take(part))
        assert np.array_equal(alone_B, got_B[part]), f"{precision}: other bits in other batches"
    wrong = rows.take(np.arange(2))
    wrong.ids_BF[1, 0] = -1
    assert scoring.score(wrong.ids_BF, wrong.dense_BC, wrong.bags) is None, "a wrong id was scored"
    return off


def _scores(scoring: CudaScoring, rows: Rows) -> NDArray[np.float32]:
    probability_B1 = scoring.score(rows.ids_BF, rows.dense_BC, rows.bags)
    assert probability_B1 is not None, "an id is outside its table"
    return probability_B1.host[:, 0].copy()


def _call(scoring: CudaScoring | TorchScoring, rows: Rows) -> Callable[[], object]:
    return lambda: scoring.score(rows.ids_BF, rows.dense_BC, rows.bags)


def _microseconds(place: Place, work: Callable[[], object]) -> list[float]:
    """By the CPU's clock: a call waits for its result."""
    for _ in range(0 if place.is_small else 5):
        work()
    times = []
    for _ in range(1 if place.is_small else CALLS):
        start = time.perf_counter()
        work()
        times.append(1e6 * (time.perf_counter() - start))
    return times
