"""Default training against logistic regression and LightGBM, on small tables of many kinds.

    python benchmarks/tables.py --data DIR [--configs DIR] [--json FILE] [--quick]

Each configuration of a folder is ingested, encoded, trained and evaluated by the pipeline's stages
with seeds 1, 2 and 3, which change the split and the model. The peers
(`benchmarks/tables_peers.py`) get the same encoded rows. The figures are of the test split, which
is used for no choice.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.harness import OURS, Benchmark, parser
from benchmarks.tables_peers import PEERS, SIDES, read_split
from plumbline.base.errors import ConfigError
from plumbline.base.exit_status import exit_status
from plumbline.base.manifest import Manifest
from plumbline.dlrm.metrics.metrics import (
    area_under_curve,
    calibration,
    log_loss,
    normalized_entropy,
)
from plumbline.features.plan.plan import read_plan
from plumbline.settings import Config
from plumbline.settings.configuration import load_config
from plumbline.stages import etl, evaluate, ingest, train
from plumbline.stages.run import Run
from plumbline.stages.stage import parts

CONFIGS = Path(__file__).parent.parent / "configs" / "tables"
SEEDS = (1, 2, 3)
QUICK_SEEDS = (1,)

REGRESSION, TREES = SIDES
FIGURES = {
    "auc": "AUC",
    "logloss": "log loss",
    "normalized_entropy": "normalized entropy",
    "calibration": "calibration",
}

LEAST_CLICKS = 200
"""Fewest clicks in the training split for which the AUC of a table is judged."""
BEHIND_REGRESSION = 0.003
BEHIND_BETTER = 0.008
CALIBRATION_ERROR = 0.1
LARGEST_ENTROPY = 0.9999
PEERS_MISSING = f"the peers were left out: no folder {PEERS.name}. `make peers` creates it."


@dataclass(slots=True)
class Outcome:
    """One table's figures: by side and figure, one number per seed."""

    name: str
    train_rows: int = 0
    train_clicks: list[int] = field(default_factory=list)
    test_clicks: list[int] = field(default_factory=list)
    figures: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def add(self, side: str, figures: dict[str, float]) -> None:
        of_side = self.figures.setdefault(side, {name: [] for name in FIGURES})
        for name in FIGURES:
            of_side[name].append(figures[name])

    def mean(self, side: str, figure: str) -> float:
        return mean(self.figures[side][figure])

    @property
    def has_peers(self) -> bool:
        return REGRESSION in self.figures

    @property
    def has_clicks(self) -> bool:
        return mean(self.train_clicks) >= LEAST_CLICKS


def configurations(folder: Path) -> Iterator[Config]:
    """The configurations of the folder, by name.

    Raises
    ------
    ConfigError
        There are none, or one does not name its files.
    """
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise ConfigError(f"--configs {folder}: wanted a folder with *.yaml files, found none.")
    for file in files:
        config = load_config(file)
        if not config.log.files:
            raise ConfigError(
                f"{file}: wanted log.files, the names of the table's files inside --data, "
                "but it has none."
            )
        yield config


def outcome(config: Config, data: Path, seeds: tuple[int, ...], peers: bool) -> Outcome:
    result = Outcome(config.name)
    for seed in seeds:
        seeded = config.model_copy(update={"seed": seed})
        run = Run(seeded, (data,), "native", "fused", "cpu", None)
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            for stage in (ingest.STAGE, etl.STAGE, train.STAGE, evaluate.STAGE):
                stage.ensure(run, folder)
            result.add(OURS, Manifest.read(folder / "evaluate").facts["test"])
            _add_peers(result, folder, seed, peers)
    return result


def _add_peers(result: Outcome, folder: Path, seed: int, peers: bool) -> None:
    plan = read_plan(folder / "etl" / "plan")
    splits = [
        read_split(plan, parts(folder / "etl" / split)) for split in ("train", "valid", "test")
    ]
    clicks, test = splits[0].click_B, splits[2]
    result.train_rows = len(clicks)
    result.train_clicks.append(int(clicks.sum()))
    result.test_clicks.append(int(test.click_B.sum()))
    for side, fit in SIDES.items() if peers else ():
        result.add(side, figures_of(test.click_B, fit(plan, *splits, seed)))


def figures_of(click_B: Any, probability_B: Any) -> dict[str, float]:
    return {
        "auc": area_under_curve(click_B, probability_B),
        "logloss": log_loss(click_B, probability_B),
        "normalized_entropy": normalized_entropy(click_B, probability_B),
        "calibration": calibration(click_B, probability_B),
    }


def judge(benchmark: Benchmark, outcomes: list[Outcome]) -> None:
    """Judge the targets on the means over the seeds."""
    for of_table in outcomes:
        _judge_table(benchmark, of_table)
    gap = f"AUC behind the better of {REGRESSION} and {TREES}, mean of the tables"
    if not all(of_table.has_peers for of_table in outcomes):
        benchmark.not_measured(gap, BEHIND_BETTER)
        return
    behind = [
        max(of_table.mean(side, "auc") for side in SIDES) - of_table.mean(OURS, "auc")
        for of_table in outcomes
    ]
    benchmark.at_most(gap, float(np.mean(behind)), BEHIND_BETTER)


def _judge_table(benchmark: Benchmark, of_table: Outcome) -> None:
    name = of_table.name
    if of_table.has_clicks:
        above = f"{name}: AUC above that of {REGRESSION}"
        if of_table.has_peers:
            difference = of_table.mean(OURS, "auc") - of_table.mean(REGRESSION, "auc")
            benchmark.at_least(above, difference, -BEHIND_REGRESSION)
        else:
            benchmark.not_measured(above, -BEHIND_REGRESSION)
    else:
        benchmark.notes.append(
            f"{name}: {mean(of_table.train_clicks):.0f} clicks in training and "
            f"{mean(of_table.test_clicks):.0f} in test, so its AUC is not judged by itself; "
            f"calibration and normalized entropy are mostly noise."
        )
    error = abs(of_table.mean(OURS, "calibration") - 1)
    benchmark.at_most(f"{name}: |calibration - 1|", error, CALIBRATION_ERROR)
    entropy = of_table.mean(OURS, "normalized_entropy")
    benchmark.at_most(f"{name}: normalized entropy", entropy, LARGEST_ENTROPY)


def show(outcomes: list[Outcome]) -> None:
    """Print the means over the seeds."""
    table = Table("table", "training rows", "clicks", "side", *FIGURES.values())
    for of_table in outcomes:
        for side in of_table.figures:
            numbers = [f"{of_table.mean(side, figure):.4f}" for figure in FIGURES]
            clicks = f"{mean(of_table.train_clicks):,.0f}"
            table.add_row(of_table.name, f"{of_table.train_rows:,}", clicks, side, *numbers)
    Console().print(table)


def main() -> None:
    arguments = parser(__doc__)
    arguments.formatter_class = argparse.RawDescriptionHelpFormatter
    arguments.add_argument("--configs", type=Path, default=CONFIGS, metavar="DIR")
    arguments.add_argument(
        "--data", type=Path, metavar="DIR", help="the folder with the files of all configurations"
    )
    options = arguments.parse_args()
    benchmark = Benchmark("tables")
    with exit_status():
        if options.data is None:
            raise ConfigError(
                "benchmarks/tables.py: wanted --data DIR, the folder that holds the files which "
                "the configurations name in log.files."
            )
        configs = list(configurations(options.configs))
        seeds = QUICK_SEEDS if options.quick else SEEDS
        if not PEERS.is_dir():
            benchmark.notes.append(PEERS_MISSING)
        outcomes = [outcome(c, options.data, seeds, PEERS.is_dir()) for c in configs]
    for of_table in outcomes:
        for figure, unit in FIGURES.items():
            sides = {side: values[figure] for side, values in of_table.figures.items()}
            benchmark.add(f"{of_table.name}, {unit}", unit, sides)
    judge(benchmark, outcomes)
    show(outcomes)
    benchmark.report(options.json)


if __name__ == "__main__":
    main()
