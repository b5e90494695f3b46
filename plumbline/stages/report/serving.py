"""Serving: latency, its distribution, and throughput, over both protocols."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from plumbline.stages.report.axes import Axis
from plumbline.stages.report.blocks import Figure, Section, Table
from plumbline.stages.report.plot import Plot
from plumbline.stages.report.texts import count, decimal, short

Measured = Mapping[str, Mapping[str, Mapping[str, Mapping[str, Any]]]]
"""Protocol, model and rows of a request to what was measured."""


def serving(report: Mapping[str, Any]) -> Section:
    measured: Measured = report["serve"]["latency_ms_by_protocol"]
    return Section(
        "serving",
        "Serving",
        texts=["One client sends one request after another; ctr_fused computes all in one model."],
        figures=[_throughput(measured), *_histograms(measured)],
        tables=[_latency(measured)],
    )


def _cases(measured: Measured) -> Iterator[tuple[str, str, str, Mapping[str, Any]]]:
    for protocol, models in measured.items():
        for model, sizes in models.items():
            for rows, figures in sizes.items():
                yield protocol, model, rows, figures


def _latency(measured: Measured) -> Table:
    rows = [
        [
            f"{model}, {protocol}",
            count(int(size)),
            decimal(figures["p50"], 2),
            decimal(figures["p99"], 2),
            count(figures["rows_per_second"]),
        ]
        for protocol, model, size, figures in _cases(measured)
    ]
    heads = ["Model", "Rows a request", "p50, ms", "p99, ms", "Rows a second"]
    return Table("Latency and throughput", heads, rows)


def _throughput(measured: Measured) -> Figure:
    series = {
        f"{model}, {protocol}": [(int(size), one["rows_per_second"]) for size, one in sizes.items()]
        for protocol, models in measured.items()
        for model, sizes in models.items()
    }
    points = [point for line in series.values() for point in line]
    sizes = tuple(dict.fromkeys(float(size) for size, _ in points))
    plot = Plot(
        Axis("rows a request", min(sizes), max(sizes) * 1.001, count, True, sizes),
        Axis.over("rows a second", [rate for _, rate in points], is_log=True),
    )
    for kind, line in enumerate(series.values()):
        plot.line(line, kind)
        plot.points(line, kind)
    title = "Throughput of one client"
    rows = [
        [name, count(size), count(rate)] for name, line in series.items() for size, rate in line
    ]
    return Figure(
        title,
        plot.svg(
            "throughput", f"{title}, up to {count(max(rate for _, rate in points))} rows a second"
        ),
        Table(title, ["Model", "Rows a request", "Rows a second"], rows),
        legend=list(series),
    )


def _histograms(measured: Measured) -> list[Figure]:
    """Of the fused model: a figure for each protocol, with a line for each size of request."""
    return [_histogram(protocol, models["fused"]) for protocol, models in measured.items()]


def _histogram(protocol: str, sizes: Mapping[str, Mapping[str, Any]]) -> Figure:
    histograms = {size: one["histogram"] for size, one in sizes.items()}
    edges = [edge for one in histograms.values() for edge in one["edges"]]
    most = max(max(one["counts"]) for one in histograms.values())
    plot = Plot(
        Axis("milliseconds", min(edges), max(edges), short, True),
        Axis("requests", 0, most),
    )
    for kind, one in enumerate(histograms.values()):
        plot.line(_outline(one), kind)
    title = f"Latency of ctr_fused, {protocol}"
    rows = [
        [f"{size} rows", f"{decimal(low, 2)} to {decimal(high, 2)}", count(number)]
        for size, one in histograms.items()
        for low, high, number in zip(
            one["edges"][:-1], one["edges"][1:], one["counts"], strict=True
        )
    ]
    return Figure(
        title,
        plot.svg(f"latency-{protocol}", f"{title}: requests by milliseconds"),
        Table(title, ["Request", "Milliseconds", "Requests"], rows),
        legend=[f"{size} rows" if size != "1" else "1 row" for size in histograms],
    )


def _outline(histogram: Mapping[str, Any]) -> list[tuple[float, float]]:
    """The upper edge of the bars, from the axis up and down to it again."""
    edges, counts = histogram["edges"], histogram["counts"]
    outline = [(edges[0], 0.0)]
    for low, high, number in zip(edges[:-1], edges[1:], counts, strict=True):
        outline += [(low, number), (high, number)]
    return [*outline, (edges[-1], 0.0)]
