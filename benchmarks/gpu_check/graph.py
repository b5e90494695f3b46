"""A training step in a CUDA graph, which launches all of its kernels at once."""

from __future__ import annotations

from unittest import SkipTest

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from benchmarks.gpu_check.place import Place
from benchmarks.gpu_check.report import Report
from benchmarks.gpu_check.step import article
from benchmarks.gpu_check.training import draw_batch, make_trainer
from benchmarks.harness import OURS

ROWS = 2048
TOLERANCE = 1e-2
"""Of the loss, relative: torch may take other products while it captures."""


def check(place: Place, report: Report) -> None:
    """Forward and backward must be captured. Of the whole step it is said whether it is."""
    if place.is_emulated:
        raise SkipTest("CUDA graphs need a device")
    model = article()
    trainer = make_trainer(model, "bf16", "cuda")
    batch = draw_batch(model, ROWS, seed=0, device="cuda")
    dlrm = trainer.canonical()

    def forward_and_backward() -> torch.Tensor:
        vector_BVD = dlrm.tables(batch.ids_BF, batch.bags, torch.bfloat16).requires_grad_()
        logit_B = dlrm.logits(vector_BVD, batch.dense_BC)
        loss = binary_cross_entropy_with_logits(logit_B, batch.click_B)
        loss.backward()
        return loss.detach()

    def step() -> torch.Tensor:
        return trainer.step(batch, 1.0)

    wanted = float(forward_and_backward())
    graph, loss = _captured(forward_and_backward)
    graph.replay()
    assert abs(float(loss) / wanted - 1) <= TOLERANCE, f"wanted a loss of {wanted}, got {loss}"
    report.checked()
    sides = {OURS: place.microseconds(graph.replay)}
    sides["launched one by one"] = place.microseconds(forward_and_backward)
    report.case(f"forward and backward of {ROWS:,} rows in a graph", "µs", sides)
    try:
        graph, _ = _captured(step)
    except RuntimeError as error:
        report.note(f"The whole step is not captured: {str(error).splitlines()[0]}")
        report.at_least("a whole training step is captured", 0, 1)
        return
    trainer.check()
    report.at_least("a whole training step is captured", 1, 1)
    sides = {
        OURS: place.microseconds(graph.replay),
        "launched one by one": place.microseconds(step),
    }
    report.case(f"step of {ROWS:,} rows in a graph", "µs", sides)


def _captured(work) -> tuple[torch.cuda.CUDAGraph, torch.Tensor]:
    """The work's graph and its result's memory, after some calls on another stream."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = work()
    return graph, result
