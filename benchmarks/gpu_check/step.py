"""A training step of the article's model: its time at three batch sizes, and where it goes."""

from __future__ import annotations

from functools import partial

from benchmarks.gpu_check.calls import CARDINALITY, DIM, FEATURES
from benchmarks.gpu_check.place import Place, median
from benchmarks.gpu_check.report import Report
from benchmarks.gpu_check.training import architecture, draw_batch, make_trainer
from benchmarks.harness import OURS
from plumbline.dlrm.model.architecture import Architecture

BATCHES, SMALL_BATCHES = (2048, 8192, 65_536), (2, 4)
MILLISECONDS = 4.0
"""Wanted of the largest batch on an H200; products and bytes alone take 2.4."""
LONGEST = 15
"""Kernels shown of the profile."""


def article() -> Architecture:
    """The layers of NVIDIA's DLRM article, and tables that exceed any cache."""
    bottom, top = (512, 256), (1024, 1024, 512, 256)
    return architecture([CARDINALITY] * FEATURES, DIM, bottom, top)


def small() -> Architecture:
    return architecture([50] * 4, 8, (16,), (16, 8))


def check(place: Place, report: Report) -> None:
    """Measure; no time fails."""
    model = small() if place.is_small else article()
    with place.operators():
        trainer = make_trainer(model, "bf16", place.device)
        for rows in SMALL_BATCHES if place.is_small else BATCHES:
            batch = draw_batch(model, rows, seed=rows, device=place.device)

            step = partial(trainer.step, batch, 1.0)
            times = [time / 1000 for time in place.microseconds(step)]
            report.case(f"step of {rows:,} rows", "ms", {OURS: times})
            report.note(f"{rows:,} rows: {rows / median(times) / 1000:,.3g} M samples/s")
            report.checked()
            profile = place.profile(step)
            if not profile:
                report.note("torch's profiler sees no kernels here")
                continue
            total = sum(time for _, _, time in profile)
            shown = [
                [name[:80].replace("|", " "), str(count), f"{time:,.0f}", f"{time / total:.1%}"]
                for name, count, time in profile[:LONGEST]
            ]
            title = f"Profile of a step of {rows:,} rows: {total:,.0f} µs in kernels"
            report.table(title, ["kernel", "times", "µs", "share"], shown)
    if not place.is_small:
        report.at_most("a step of 65,536 rows, ms", median(times), MILLISECONDS)
