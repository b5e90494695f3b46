"""Plot a serving benchmark's loads: throughput and latency over requests in flight.

matplotlib is not part of the environment; `make peers` installs it separately.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.serve_load import Load
from benchmarks.serve_merlin import PEERS
from plumbline.base.errors import DataError

COLOURS = ("#1f6f8b", "#c8553d")


def plot(loads: Mapping[str, Sequence[Load]], title: str, file: Path) -> None:
    """Write a plot in the format of the file's extension.

    `loads` holds the closed loops of each configuration, with equal numbers in flight.

    Raises
    ------
    DataError
        matplotlib is not installed.
    """
    sys.path.append(str(PEERS))
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise DataError(f"--plot wants matplotlib ({error}). Run `make peers`.") from None
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    throughput, latency = figure.subplots(1, 2)
    in_flight = [point.in_flight for point in next(iter(loads.values()))]
    for (name, points), colour in zip(loads.items(), COLOURS, strict=False):
        style = {"marker": "o", "color": colour}
        throughput.plot(in_flight, [p.rows_a_second for p in points], label=name, **style)
        latency.plot(in_flight, [p.p50 for p in points], label=f"{name}, p50", **style)
        latency.plot(
            in_flight, [p.p99 for p in points], label=f"{name}, p99", linestyle="--", **style
        )
    throughput.set(ylabel="rows scored a second", ylim=(0, None))
    latency.set(ylabel="milliseconds", yscale="log")
    for axes in (throughput, latency):
        axes.set_xscale("log", base=2)
        axes.set_xticks(in_flight, labels=[str(number) for number in in_flight])
        axes.set_xlabel("requests in flight")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.suptitle(title)
    figure.savefig(file, dpi=150)
