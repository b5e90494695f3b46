"""The value to the DLRM of each way of preparing numbers, on many tables.

Runs every configuration of a folder, whose `log.files` name files inside `--data`, and two drawn
tables with difficult scales. Each table is encoded once per way, and the DLRM is trained on it with
every seed at constant learning rates. The figures are the log loss and AUC of the *valid* split
after the epoch with the smallest log loss. The test split is not read.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial, reduce
from operator import add
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.harness import OURS, Benchmark, parser
from benchmarks.number_graphs_drawn import DRAWN, write_drawn
from plumbline.columns.kinds import FeatureKind
from plumbline.columns.typed import TypedParquet
from plumbline.dlrm.data.parquet_loader import ParquetLoader
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.train.averaging import averaged
from plumbline.dlrm.train.fused_trainer import FusedTrainer
from plumbline.dlrm.train.training import train
from plumbline.dlrm.train.training_plan import planned
from plumbline.features.engine.native_engine import NativeEngine
from plumbline.features.plan.plan import Plan
from plumbline.features.plan.unfitted import UnfittedPlan
from plumbline.nvtabular.compile import compile_unfitted
from plumbline.nvtabular.graphs import build
from plumbline.nvtabular.library import Workflow, ops
from plumbline.nvtabular.operators.quantile_bucketize import QuantileBucketize
from plumbline.settings import Model, Training, WorkflowSettings
from plumbline.settings.configuration import load_config
from plumbline.stages import ingest
from plumbline.stages.rows import typed_folders
from plumbline.stages.run import Run
from plumbline.stages.stage import parts

SEEDS = (1, 2, 3)
EPOCHS = 10


@dataclass(frozen=True, slots=True)
class Rows:
    """A table's typed splits."""

    name: str
    kinds: Mapping[str, FeatureKind]
    splits: Mapping[str, Path]
    threshold: int | None
    """Frequency threshold of the categories."""

    @property
    def of_training(self) -> int:
        return sum(pq.read_metadata(file).num_rows for file in parts(self.splits["train"]))

    @property
    def continuous(self) -> list[str]:
        return [name for name, kind in self.kinds.items() if kind == "continuous"]


Way = Callable[[Rows], UnfittedPlan]


def settings(**chosen: object) -> Way:
    """The standard graph with these settings."""

    def way(rows: Rows) -> UnfittedPlan:
        options = {"frequency_threshold": rows.threshold, **chosen}
        graph = WorkflowSettings(graph="standard", options=options)
        return build(graph, rows.kinds, rows.of_training).plan

    return way


def clipped(rows: Rows, *, log: bool = False) -> UnfittedPlan:
    """Each column clipped to its .5 % and 99.5 % quantiles, then normalized.

    With `log`, columns without negative numbers are logged between the two.
    """
    branches = []
    for name in rows.continuous:
        values = _column(rows, name)
        low, high = np.quantile(values, [0.005, 0.995]).tolist() if len(values) else (0.0, 0.0)
        chain = [name] >> ops.FillMissing(0.0) >> ops.Clip(min_value=low, max_value=high)
        if log and low >= 0.0:
            chain = chain >> ops.LogOp()
        branches.append(chain >> ops.Normalize())
    return _with_categories(rows, branches)


def buckets_alone(rows: Rows) -> UnfittedPlan:
    return _with_categories(rows, [rows.continuous >> QuantileBucketize(32)])


def _with_categories(rows: Rows, branches: list[Any]) -> UnfittedPlan:
    others = [name for name in rows.kinds if name not in rows.continuous]
    if others:
        branches = [others >> ops.Categorify(freq_threshold=rows.threshold or 0), *branches]
    return compile_unfitted(Workflow(reduce(add, branches)), rows.kinds)


def _column(rows: Rows, name: str) -> NDArray[np.float64]:
    """A column's numbers in the training split, without missing ones."""
    files = [pq.read_table(file, columns=[name]) for file in parts(rows.splits["train"])]
    values = np.asarray(pa.concat_tables(files)[name], np.float64)
    return values[~np.isnan(values)]


WAYS: dict[str, Way] = {
    "normalize": settings(normalize=True, buckets=0),
    "log": settings(log=True, clip_min=0.0, buckets=0),
    "clip": clipped,
    "clip, log": partial(clipped, log=True),
    "scores": settings(buckets=0),
    "normalize + 32": settings(normalize=True, buckets=32, bucket_columns=1000, bucket_rows=1),
    **{
        f"scores + {buckets}": settings(buckets=buckets, bucket_columns=1000, bucket_rows=1)
        for buckets in (8, 16, 32, 64, 128)
    },
    "normalize + 64": settings(normalize=True, buckets=64, bucket_columns=1000, bucket_rows=1),
    "buckets alone": buckets_alone,
    **{f"ids seen {n} times": settings(frequency_threshold=n) for n in (1, 2, 3, 5)},
    OURS: settings(),
}


def tables(options: argparse.Namespace, folder: Path) -> Iterator[Rows]:
    """The configured tables, ingested, and the drawn ones."""
    configs = sorted(options.configs.glob("*.yaml")) if options.configs else []
    for file in configs:
        config = load_config(file)
        if options.tables and config.name not in options.tables:
            continue
        log = config.log.model_copy(update={"typed_copy": True})
        data = tuple(options.data / name for name in config.log.files)
        run = Run(config.model_copy(update={"log": log}), data, "native", "fused", "cpu", None)
        ingested = ingest.STAGE.ensure(run, folder / config.name)
        splits = typed_folders(ingested)
        kept = {split: splits[split] for split in ("train", "valid")}
        yield Rows(
            config.name, config.features, kept, config.workflow.options.get("frequency_threshold")
        )
    for name in DRAWN:
        if options.tables and name not in options.tables:
            continue
        kinds, splits = write_drawn(name, 2_000 if options.quick else 20_000, folder / name)
        yield Rows(name, kinds, splits, 0)


def encoded(rows: Rows, way: Way, out: Path) -> Plan:
    source = TypedParquet(rows.splits, rows.kinds)
    return NativeEngine(way(rows)).fit_transform(source, out, lambda _: None, shuffle_seed=1).plan


def best(plan: Plan, folder: Path, seed: int, epochs: int) -> tuple[float, float]:
    """Log loss and AUC on the valid split after the best epoch."""
    architecture = Architecture.of(plan, Model())
    rows = sum(pq.read_metadata(file).num_rows for file in parts(folder / "train"))
    training = planned(
        Training(
            epochs=epochs,
            batch_size=256 if rows > 20_000 else 128,
            early_stopping=False,
            averaging=False,
            decay_share=0.0,
            precision="fp32",
        ),
        rows,
    )
    loader = ParquetLoader(parts(folder / "train"), architecture, training.batch_size)
    with tempfile.TemporaryDirectory(dir=folder) as out:
        result = train(
            averaged(FusedTrainer(architecture, training, seed, "cpu"), training, loader.rows),
            loader,
            training,
            seed=seed,
            valid_files=parts(folder / "valid"),
            out=Path(out),
            plan_hash=plan.content_hash,
        )
    epoch = min(result.valid, key=lambda metrics: metrics.logloss)
    return epoch.logloss, epoch.auc


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--configs", type=Path, metavar="DIR", help="one configuration a table")
    arguments.add_argument("--data", type=Path, metavar="DIR", default=Path(), help="their files")
    arguments.add_argument("--tables", nargs="*", metavar="NAME", help="only these")
    arguments.add_argument("--ways", nargs="*", choices=WAYS, default=list(WAYS), metavar="WAY")
    arguments.add_argument("--epochs", type=int, default=EPOCHS)
    arguments.add_argument("--seeds", type=int, nargs="*", default=SEEDS)
    options = arguments.parse_args()
    seeds, epochs = ((1,), 1) if options.quick else (options.seeds, options.epochs)
    benchmark = Benchmark("number_graphs")
    means: dict[str, dict[str, tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for rows in tables(options, Path(temporary)):
            figures = {}
            for number, name in enumerate(options.ways):
                out = Path(temporary) / rows.name / f"way{number}"
                plan = encoded(rows, WAYS[name], out)
                figures[name] = [best(plan, out, seed, epochs) for seed in seeds]
            means[rows.name] = {
                name: (mean(loss for loss, _ in of), mean(auc for _, auc in of))
                for name, of in figures.items()
            }
            if OURS in figures:
                losses = {name: [loss for loss, _ in of] for name, of in figures.items()}
                benchmark.add(rows.name, "log loss", losses)
            _print(means)
    benchmark.report(options.json)


def _print(means: dict[str, dict[str, tuple[float, float]]]) -> None:
    """Log loss and AUC of every way on the tables so far."""
    table = Table("way", *means, title="valid: log loss, AUC")
    for way in next(iter(means.values())):
        cells = [f"{of_table[way][0]:.4f} {of_table[way][1]:.4f}" for of_table in means.values()]
        table.add_row(way, *cells)
    Console(width=200).print(table)


if __name__ == "__main__":
    main()
