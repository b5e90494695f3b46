"""Training on the kernels against training on the CPU, and twice on the kernels for equal bits."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.gpu_check.place import Place
from benchmarks.gpu_check.report import Report
from benchmarks.gpu_check.training import architecture, draw_batch, make_trainer
from plumbline.base.device import Device
from plumbline.dlrm.ops.dtypes import Precision

TOLERANCES: dict[Precision, float] = {"fp32": 1e-5, "bf16": 1e-2, "fp16": 1e-2}
"""Of a step's loss, relative; a 16-bit layer rounds its sums in another order."""
STEPS, SMALL_STEPS = 20, 5
ROW_TOLERANCES: dict[Precision, float] = {"fp32": 1e-3, "bf16": 0.1, "fp16": 0.1}
"""Of the distance between both tables after all steps, relative to how far training moved them."""
BATCHES = 4
"""Batches that the steps take in turn, so that the loss has to fall."""
ROWS, SMALL_ROWS = 512, 16
TABLES = "parameter/tables.weight"


@dataclass(frozen=True)
class Course:
    """The loss of each step, the tables before the first, and the state after the last."""

    losses: list[float]
    first_RD: Tensor
    state: dict[str, Tensor]

    def distance(self, other: Course) -> float:
        """Between both tables, relative to how far the other's moved."""
        last_RD = other.state[TABLES]
        apart = (self.state[TABLES].cpu() - last_RD).norm()
        return float(apart / (last_RD - other.first_RD).norm())


def check(place: Place, report: Report) -> None:
    """26 columns, one of them with lists; in the emulation 4 columns."""
    small = place.is_small
    cardinalities = [1 + 7 * number for number in range(1, 5 if small else 27)]
    dim, top = (8, (16,)) if small else (32, (128, 64))
    model = architecture(cardinalities, dim, (32,), top, lists=1)

    def run(precision: Precision, device: Device) -> Course:
        trainer = make_trainer(model, precision, device)
        first_RD = trainer.state()[TABLES].clone()
        rows, steps = (SMALL_ROWS, SMALL_STEPS) if small else (ROWS, STEPS)
        batches = [draw_batch(model, rows, seed, device) for seed in range(BATCHES)]
        losses = [trainer.step(batches[step % BATCHES], 1.0) for step in range(steps)]
        trainer.check()
        return Course(torch.stack(losses).tolist(), first_RD, trainer.state())

    rows = []
    for precision, tolerance in TOLERANCES.items():
        cpu = run(precision, "cpu")
        with place.operators():
            course = run(precision, place.device)
            place.reschedule(seed=1)
            again = run(precision, place.device)
        off = max(abs(got / want - 1) for got, want in zip(course.losses, cpu.losses, strict=True))
        assert off <= tolerance, f"{precision}: a loss is {off:.2g} off the CPU's: {course.losses}"
        apart = course.distance(cpu)
        assert apart <= ROW_TOLERANCES[precision], f"{precision}: the tables are {apart:.2g} apart"
        assert course.losses[-1] < course.losses[0], (
            f"{precision}: no falling loss: {course.losses}"
        )
        assert course.losses == again.losses, f"{precision}: two runs have different losses"
        for name, tensor in course.state.items():
            assert torch.equal(tensor, again.state[name]), f"{precision}: two runs differ in {name}"
        report.checked(5)
        last = f"{cpu.losses[-1]:.6f}", f"{course.losses[-1]:.6f}"
        rows.append([precision, *last, f"{off:.1e}", f"{apart:.1e}"])
    columns = ["precision", "last loss on the CPU", "on the kernels", "losses off by", "tables by"]
    title = f"{len(cpu.losses)} steps; two runs on the kernels have equal bits"
    report.table(title, columns, rows)
