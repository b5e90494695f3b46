"""A report as `plumbline.stages.report.contents` makes it, with hostile names; a page as text."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from html.parser import HTMLParser
from typing import Any

import numpy as np

from plumbline.dlrm.metrics.curves import curves_of
from plumbline.dlrm.metrics.pair_counts import PairCounts

HOSTILE = """<script>alert('x')</script>"&{{ 7*7 }}"""
METRICS = {
    "rows": 100,
    "click_rate": 0.3,
    "auc": 0.7,
    "logloss": 0.4,
    "normalized_entropy": 0.9,
    "calibration": 1.05,
}
CURVES = {
    "roc": [[0.0, 0.0], [0.25, 0.61], [1.0, 1.0]],
    "precision_recall": [[0.61, 0.5], [1.0, 0.3]],
    "calibration": [
        {"rows": 60, "clicks": 6, "predicted": 0.12, "observed": 0.1},
        {"rows": 40, "clicks": 24, "predicted": 0.55, "observed": 0.6},
    ],
    "histogram": {"edges": [0.1, 0.2, 0.4], "clicks": [6, 24], "others": [54, 16]},
}


def latency(scale: float) -> dict[str, Any]:
    return {
        str(rows): {
            "p50": scale,
            "p99": 3 * scale,
            "rows_per_second": round(1000 * rows / scale),
            "histogram": {"edges": [scale / 2, scale, 2 * scale], "counts": [7, 3]},
        }
        for rows in (1, 64, 1024)
    }


def report_of(**verdict: Any) -> dict[str, Any]:
    protocols = {
        protocol: {"ensemble": latency(2.5 * scale), "fused": latency(scale)}
        for protocol, scale in (("grpc", 0.5), ("http", 0.75))
    }
    tree = {"sources": [HOSTILE], "operators": ["fill_missing", "log"]}
    return {
        "config": HOSTILE,
        "rows": {"train": 3000, "valid": 200, "test": 100},
        "ingest": {
            "malformed": 17,
            "unmatched": {"users": 33},
            "click_rate": {"train": 0.2, "valid": 0.25, "test": 0.3},
            "left_out": {"no_split": 0, "gap": 0, "negatives": 0},
            "keep_negatives": 1.0,
            "course": {
                "span": 1024,
                "rows": [1024, 1024, 1024, 228],
                "clicks": [256, 128, 512, 57],
                "splits": {
                    "train": [1024, 1024, 952, 0],
                    "valid": [0, 0, 72, 128],
                    "test": [0, 0, 0, 100],
                },
            },
            "columns": [
                {"name": HOSTILE, "kind": "continuous", "missing": 0.125},
                {"name": "shop", "kind": "hex", "missing": 0.0},
            ],
        },
        "features": [
            {"name": HOSTILE, "dtype": "float32", "cardinality": None, **tree},
            {
                "name": "shop",
                "dtype": "int64",
                "cardinality": 4321,
                "sources": ["shop", tree],
                "operators": ["categorify"],
            },
        ],
        "etl": {
            "engine": "native",
            "fit_seconds": 1.25,
            "transform_seconds": 2.5,
            "rows_per_second": 1234,
            "peak_rss_mb": 321.0,
            "training_rows_left_out": 1200,
            "plan_hash": "abc123",
            "columns": [
                {
                    "name": "shop",
                    "auc": 0.654,
                    "cardinality": 4321,
                    "known": 4318,
                    "missing": 0.01,
                    "unseen": 0.625,
                    "unseen_in_training": 0.25,
                    "drift": {"valid": 0.123, "test": 0.345},
                },
                {
                    "name": HOSTILE,
                    "auc": None,
                    "low": 0.0,
                    "high": 1.0,
                    "drift": {"valid": 0.0, "test": None},
                },
            ],
            "leaks": [{"column": HOSTILE, "alone": 0.991, "together": 0.995, "without": 0.712}],
        },
        "train": {
            "model": "fused",
            "precision": "bf16",
            "samples_per_second": 54321,
            "waiting_share": 0.021,
            "steps": 12,
            "final_loss": 0.4567,
            "best_epoch": 1,
            "bias_shift": 0.01,
            "loss_curve": [[6, 0.7123], [12, 0.5123]],
            "learning_rates": [0.001, 0.0005],
            "batch_size": 256,
            "epochs": 5,
            "epochs_run": 2,
            "learning_rate": 0.001,
            "embedding_learning_rate": 0.02,
            "early_stopping": True,
            "patience": 1,
            "valid": [METRICS, {**METRICS, "logloss": 0.4876}],
            "train_losses": [0.6543, 0.5432],
        },
        "evaluate": {
            **METRICS,
            "precision": "bf16",
            "bayes_auc": None,
            "auc_loss": None,
            "valid": METRICS,
            "baselines": {
                "constant": {**METRICS, "auc": 0.5, "logloss": 0.5123},
                "logistic_regression": {**METRICS, "auc": 0.71, "logloss": 0.4321},
            },
            "verdict": {"ok": True, "text": "Better.", "advice": [], **verdict},
            "curves": {"model": CURVES, "regression": CURVES},
            "importance": {
                "rows": 100,
                "left_out": 0,
                "columns": [
                    {"column": HOSTILE, "auc": 0.0789, "logloss": 0.0123},
                    {"column": "shop", "auc": -0.0001, "logloss": 0.0},
                ],
            },
            "slices": {
                "rows": 100,
                "columns": [
                    {
                        "column": "shop",
                        "slices": [
                            {
                                "value": HOSTILE,
                                "rows": 61,
                                "click_rate": 0.31,
                                "predicted": 0.32,
                                "auc": 0.6789,
                                "logloss": 0.3456,
                            },
                            {
                                "value": "(missing)",
                                "rows": 3,
                                "click_rate": 0.0,
                                "predicted": 0.1,
                                "auc": None,
                                "logloss": 0.1,
                            },
                        ],
                    }
                ],
            },
        },
        "append": None,
        "warnings": [f"etl: Column {HOSTILE!r} is constant"],
        "serve": {
            "rows_compared": 1005,
            "ids_identical": True,
            "max_abs_score_diff": 0.0,
            "latency_ms": protocols["grpc"],
            "latency_ms_by_protocol": protocols,
        },
        "seconds": {"etl": 4.5, "train": 9.25},
        "stages": {
            "etl": {
                "seconds": 4.5,
                "rows": 3300,
                "rows_per_second": 733,
                "peak_rss_mb": 321.0,
                "hash": "e7" * 32,
            },
            "train": {
                "seconds": 9.25,
                "rows": 3000,
                "rows_per_second": 324,
                "peak_rss_mb": None,
                "hash": "a1" * 32,
            },
        },
        "settings": {"seed": "7", "label.click": f'["{HOSTILE}"]', "training.epochs": "5"},
        "versions": {"numpy": "1.26.4"},
        "written": "2026-01-01T00:00:00+00:00",
    }


@dataclass
class Page(HTMLParser):
    """The text of a page: its tables by caption, its links, and its tags in order."""

    source: str
    tables: dict[str, list[list[str]]] = field(default_factory=dict)
    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    text: str = ""

    def __post_init__(self) -> None:
        super().__init__()
        self._rows: list[list[str]] = []
        self._inside = ""
        self._caption = ""
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "table":
            self._rows, self._caption = [], ""
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._rows[-1].append("")
        if tag in ("td", "th", "caption", "style", "script"):
            self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            assert self._caption not in self.tables, f"two tables {self._caption!r}"
            self.tables[self._caption] = self._rows
        if tag == self._inside:
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "caption":
            self._caption += data
        elif self._inside in ("td", "th"):
            self._rows[-1][-1] += data
        if self._inside not in ("style", "script"):
            self.text += data

    def rows(self, start: str) -> list[list[str]]:
        """The rows of the table whose caption begins like this, without its head."""
        (found,) = [rows for caption, rows in self.tables.items() if caption.startswith(start)]
        return found[1:]


def drawn_report() -> dict[str, Any]:
    """A report of the size of a real one: Criteo's 39 columns, and curves of drawn scores."""
    generator = np.random.default_rng(1)
    score = 1 / (1 + np.exp(-generator.normal(-1.5, 1.2, 20_000)))
    click = (generator.random(len(score)) < score).astype(np.int8)
    pairs = PairCounts()
    pairs.add(click, score)
    curves = asdict(curves_of(pairs))
    report = report_of()
    numbers, ids = [f"I{i}" for i in range(1, 14)], [f"C{i}" for i in range(1, 27)]
    shop, _ = report["etl"]["columns"]
    report["etl"]["columns"] = [
        {**shop, "name": name, "unseen": 0.03 * i, "drift": {"valid": 0.01 * i, "test": 0.02 * i}}
        for i, name in enumerate(ids)
    ]
    report["ingest"]["columns"] = [
        {"name": name, "kind": kind, "missing": generator.random() / 3}
        for names, kind in ((numbers, "continuous"), (ids, "hex"))
        for name in names
    ]
    report["features"] = [
        {
            "name": name,
            "dtype": dtype,
            "cardinality": 5000 if dtype == "int64" else None,
            "sources": [name],
            "operators": operators,
        }
        for names, dtype, operators in (
            (ids, "int64", ["categorify"]),
            (numbers, "float32", ["fill_missing", "clip", "log", "normalize"]),
        )
        for name in names
    ] + report["features"]
    rows = [8192] * 240
    report["ingest"]["course"] = {
        "span": 8192,
        "rows": rows,
        "clicks": [int(2000 + 300 * np.sin(i / 20)) for i in range(240)],
        "splits": {
            "train": [8192] * 144 + [0] * 96,
            "valid": [0] * 144 + [8192] * 48 + [0] * 48,
            "test": [0] * 192 + [8192] * 48,
        },
    }
    steps = range(6, 1200, 6)
    report["train"] |= {
        "steps": 1194,
        "loss_curve": [[step, 0.45 + 0.2 / step + 0.01 * np.sin(step)] for step in steps],
        "learning_rates": [0.001 * (1 - step / 1200) for step in steps],
    }
    report["evaluate"]["curves"] = {"model": curves, "regression": curves}
    return report
