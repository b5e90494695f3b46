"""What differs between runs, as tables: settings, metrics, costs, slices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from plumbline.stages.compare.runs import ComparedRun
from plumbline.stages.report.blocks import Cell, Flagged, Table
from plumbline.stages.report.texts import NOTHING, count, decimal, share
from plumbline.stages.report.verdict import is_served_as_judged

Runs = Sequence[ComparedRun]

BEST = "best"

_Figure = tuple[
    str,
    Callable[[Mapping[str, Any]], float | None],
    Callable[[float | None], str],
    Callable[[float], float] | None,
]
"""A row: its name, the figure of a report, its text, and what is smallest for the best run."""


def _less(value: float) -> float:
    return value


def _more(value: float) -> float:
    return -value


def _near_one(value: float) -> float:
    return abs(value - 1)


def _fused(report: Mapping[str, Any], rows: str, key: str) -> float:
    figure: float = report["serve"]["latency_ms"]["fused"][rows][key]
    return figure


_QUALITY: tuple[_Figure, ...] = (
    ("AUC", lambda r: r["evaluate"]["auc"], decimal, _more),
    ("Log loss", lambda r: r["evaluate"]["logloss"], decimal, _less),
    ("Normalized entropy", lambda r: r["evaluate"]["normalized_entropy"], decimal, _less),
    ("Calibration", lambda r: r["evaluate"]["calibration"], decimal, _near_one),
    ("Validation AUC", lambda r: r["evaluate"]["valid"]["auc"], decimal, _more),
    (
        "Logistic regression's AUC",
        lambda r: r["evaluate"]["baselines"]["logistic_regression"]["auc"],
        decimal,
        None,
    ),
    ("Test rows", lambda r: r["rows"]["test"], count, None),
    ("Test click rate", lambda r: r["ingest"]["click_rate"]["test"], share, None),
    ("Training rows", lambda r: r["rows"]["train"], count, None),
    ("Training steps", lambda r: r["train"]["steps"], count, None),
    ("Final training loss", lambda r: r["train"]["final_loss"], decimal, None),
)

_COSTS: tuple[_Figure, ...] = (
    ("Seconds in all", lambda r: sum(r["seconds"].values()), lambda s: decimal(s, 1), _less),
    ("Training, samples a second", lambda r: r["train"]["samples_per_second"], count, _more),
    ("ETL, rows a second", lambda r: r["etl"]["rows_per_second"], count, _more),
    (
        "Highest memory, MB",
        lambda r: max((s["peak_rss_mb"] or 0.0) for s in r["stages"].values()),
        count,
        _less,
    ),
    ("ctr_fused, 1 row, p50 ms", lambda r: _fused(r, "1", "p50"), lambda s: decimal(s, 2), _less),
    ("ctr_fused, 1 row, p99 ms", lambda r: _fused(r, "1", "p99"), lambda s: decimal(s, 2), _less),
    (
        "ctr_fused, 1,024 rows, rows a second",
        lambda r: _fused(r, "1024", "rows_per_second"),
        count,
        _more,
    ),
)


def tables_of(runs: Runs) -> list[Table]:
    """All tables, in the order of the page."""
    return [settings(runs), quality(runs), costs(runs), *slices(runs)]


def settings(runs: Runs) -> Table:
    """The settings that are not the same in all runs."""
    keys = dict.fromkeys(key for run in runs for key in run.report["settings"])
    rows: list[list[Cell]] = []
    for key in keys:
        values = [run.report["settings"].get(key, NOTHING) for run in runs]
        if len(set(values)) > 1:
            rows.append([key, *values])
    versions = dict.fromkeys(name for run in runs for name in run.report["versions"])
    for name in versions:
        values = [run.report["versions"].get(name, NOTHING) for run in runs]
        if len(set(values)) > 1:
            rows.append([f"version of {name}", *values])
    return Table(
        "Settings that differ" if rows else "No setting differs",
        _heads("Setting", runs),
        rows,
        numbers_from=len(runs) + 1,
    )


def quality(runs: Runs) -> Table:
    rows = _rows(_QUALITY, runs)
    served: list[Cell] = [
        "yes" if is_served_as_judged(run.report) else Flagged("no", "bad", "scores differ")
        for run in runs
    ]
    verdicts: list[Cell] = [
        "good"
        if run.report["evaluate"]["verdict"]["ok"]
        else Flagged("bad", "bad", "see its report")
        for run in runs
    ]
    rows += [["Served as judged", *served], ["Verdict", *verdicts]]
    return Table("Quality on the test split", _heads("Metric", runs), rows)


def costs(runs: Runs) -> Table:
    return Table("Costs", _heads("What", runs), _rows(_COSTS, runs))


def slices(runs: Runs) -> list[Table]:
    """The AUC of each run in the slices of the columns that all runs have slices of."""
    by_run = [
        {one["column"]: one["slices"] for one in run.report["evaluate"]["slices"]["columns"]}
        for run in runs
    ]
    shared = [column for column in by_run[0] if all(column in columns for columns in by_run)]
    return [_slices_of(column, [columns[column] for columns in by_run], runs) for column in shared]


def _slices_of(column: str, of_runs: Sequence[Sequence[Mapping[str, Any]]], runs: Runs) -> Table:
    values = dict.fromkeys(one["value"] for slices in of_runs for one in slices)
    auc = [{one["value"]: one["auc"] for one in slices} for slices in of_runs]
    rows = [
        [value, *_with_best([found.get(value) for found in auc], decimal, _more)]
        for value in values
    ]
    return Table(f"AUC by {column}", _heads("Value", runs), rows)


def _heads(first: str, runs: Runs) -> list[str]:
    return [first, *(run.name for run in runs)]


def _rows(figures: Sequence[_Figure], runs: Runs) -> list[list[Cell]]:
    return [
        [name, *_with_best([figure(run.report) for run in runs], text, badness)]
        for name, figure, text, badness in figures
    ]


def _with_best(
    values: Sequence[float | None],
    text: Callable[[float | None], str],
    badness: Callable[[float], float] | None,
) -> list[Cell]:
    """The values as text; the best of several says so, unless all look the same."""
    shown: list[Cell] = [text(value) for value in values]
    known = [value for value in values if value is not None]
    if badness is None or len({*shown}) < 2 or len(known) < 2:
        return shown
    best = min(badness(value) for value in known)
    return [
        Flagged(text(value), "good", BEST) if value is not None and badness(value) == best else cell
        for value, cell in zip(values, shown, strict=True)
    ]
