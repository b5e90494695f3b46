"""Every operator side by side with NVTabular on pandas: fit and encode, and one row online.

Each case (`benchmarks/operator_cases.py`) fits a workflow on the same typed Parquet, and encodes
and writes it: our native engine as users get it, and NVTabular. Both outputs are compared first:
ids are equal but for the order of equal counts, numbers to 1e-5. Where NVTabular cannot do the same
work it runs the patched operators; the notes say why. Then operators on several keys are added to
Criteo's 26 + 13 columns, and one row is encoded online.
"""

from __future__ import annotations

import math
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial, reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from benchmarks import criteo_rows
from benchmarks.etl import same_but_for_ties
from benchmarks.harness import OURS, Benchmark, parser
from benchmarks.online import microseconds
from benchmarks.operator_cases import CASES, KINDS, OperatorCase, write_one_part, write_rows
from plumbline.base.errors import DataError
from plumbline.columns.kinds import CLICK, FeatureKind
from plumbline.columns.typed import TypedParquet
from plumbline.columns.wire import Tensors, to_tensors
from plumbline.features.encoding.online import OnlineExecutor
from plumbline.features.engine.native_engine import NativeEngine
from plumbline.features.fitting.nodes import nodes
from plumbline.features.operators.categorify import Categorify
from plumbline.features.plan.plan import Plan, read_plan
from plumbline.features.steps.chains import Chain
from plumbline.nvtabular.compile import compile_unfitted
from plumbline.nvtabular.engine import NVTabularEngine
from plumbline.nvtabular.graphs import build
from plumbline.nvtabular.library import Dataset, Workflow, ops
from plumbline.nvtabular.patched import set_folder
from plumbline.nvtabular.quiet import quiet
from plumbline.settings import WorkflowSettings

ROWS, REPEATS, REQUESTS, ROUNDS = 1_000_000, 3, 400, 5
NVTABULAR, PATCHED = "nvtabular", "nvtabular, patched"
TOLERANCE = 1e-5


Build = Callable[[], Workflow]
Kinds = dict[str, FeatureKind]


def ours(build_workflow: Build, kinds: Kinds, given: Path, out: Path) -> float:
    """Fit and encode in the native engine; returns seconds."""
    shutil.rmtree(out, ignore_errors=True)
    start = time.perf_counter()
    source = TypedParquet({"train": given}, kinds)
    NativeEngine(compile_unfitted(build_workflow(), kinds)).fit_transform(source, out, _ignore)
    return time.perf_counter() - start


def nvtabular(build_workflow: Build, kinds: Kinds, given: Path, out: Path) -> float:
    """Fit and encode with NVTabular's own operators, reader and writer; returns seconds."""
    shutil.rmtree(out, ignore_errors=True)
    for number in range(9):  # TargetEncoding does not make its folder
        (out / "learned" / f"{number}").mkdir(parents=True)
    start = time.perf_counter()
    workflow = build_workflow()
    set_folder(workflow, out / "learned")
    with quiet():
        log = Dataset(str(given), engine="parquet", cpu=True)
        workflow.fit(log).transform(log).to_parquet(str(out / "train"))
    return time.perf_counter() - start


def patched(build_workflow: Build, kinds: Kinds, given: Path, out: Path) -> float:
    """Fit and encode in the NVTabular engine; returns seconds."""
    shutil.rmtree(out, ignore_errors=True)
    start = time.perf_counter()
    engine = NVTabularEngine("cpu", None)
    engine.fit_transform(build_workflow(), kinds, {"train": given}, out, _ignore)
    return time.perf_counter() - start


def read_by(workflow: Workflow) -> Kinds:
    """The kinds of the columns that a workflow reads, as NVTabular reads no others."""
    chains = [column.chain for column in compile_unfitted(workflow, KINDS).outputs]
    reads = [Chain((source,), ()) for node in nodes(chains) for source in node.reads]
    names = {name for chain in [*chains, *reads] for name in chain.columns}
    return {name: kind for name, kind in KINDS.items() if name in names}


def measure(
    benchmark: Benchmark, case: OperatorCase, given: Path, scratch: Path, repeats: int
) -> float:
    """Measure a case; returns the ratio to the peer."""

    def workflow() -> Workflow:
        return Workflow(case.build() + CLICK)

    peer, name = (patched, PATCHED) if case.patched else (nvtabular, NVTABULAR)
    kinds = read_by(workflow())
    sides = {
        OURS: lambda: ours(workflow, kinds, given, scratch / "ours"),
        name: lambda: peer(workflow, kinds, given, scratch / "theirs"),
    }
    for run in sides.values():
        run()
    plan = read_plan(scratch / "ours" / "plan")
    check_equal(plan, case.name, scratch / "ours" / "train", scratch / "theirs" / "train")
    if case.patched:
        benchmark.notes.append(f"{case.name}: patched, because {case.patched}.")
    return benchmark.run(f"{case.name}, fit and encode", "s", sides, repeats).ratios[name]


def check_equal(plan: Plan, case: str, ours_folder: Path, their_folder: Path) -> None:
    """Raises DataError if the encoded files differ."""
    one, other = _read(ours_folder), _read(their_folder)
    for column in plan.outputs:
        mine, theirs = one[column.name], other[column.name]
        if column.is_list:
            mine, theirs = mine.explode().drop_nulls(), theirs.explode().drop_nulls()
        if column.is_categorical:
            mine, theirs = mine.cast(pl.Int64), theirs.cast(pl.Int64)
            is_vocabulary = isinstance(column.chain.steps[-1], Categorify)
            equal = same_but_for_ties(mine, theirs) if is_vocabulary else mine.equals(theirs)
        else:
            expected, got = (side.cast(pl.Float64).to_numpy() for side in (theirs, mine))
            equal = np.allclose(got, expected, TOLERANCE, TOLERANCE, equal_nan=True)
        if not equal:
            raise DataError(f"{case}: {column.name} differs from NVTabular's: not equal work.")


def requests_of_one(executor: OnlineExecutor, given: Path) -> list[Tensors]:
    rows = pl.read_parquet(min(given.iterdir()), n_rows=REQUESTS).to_arrow()
    return [to_tensors(rows.slice(row, 1), executor.columns) for row in range(len(rows))]


def one_row(plan: Plan, given: Path) -> list[float]:
    """The microseconds of requests of one row."""
    executor = OnlineExecutor(plan)
    return microseconds(executor.transform, requests_of_one(executor, given) * 5)


SEVERAL_KEYS: dict[str, Callable[[], Any]] = {
    "a combination": lambda: [["C6", "C9"]] >> ops.Categorify(encode_type="combo"),
    "a second combination": lambda: [["C14", "C17"]] >> ops.Categorify(encode_type="combo"),
    "a cross": lambda: [["C1", "C2"]] >> ops.HashedCross(100_000),
    "an encoded target": lambda: [["C2", "C5"]] >> ops.TargetEncoding([CLICK], kfold=1),
    "a second encoded target": lambda: ["C8"] >> ops.TargetEncoding([CLICK], kfold=1),
    "statistics of a key": lambda: [["C20", "C23"]] >> ops.JoinGroupby(
        cont_cols=["I1"], stats=["count", "mean", "std"])
    >> ops.FillMissing(0.0) >> ops.Clip(0.0) >> ops.LogOp() >> ops.Normalize(),
    "a join": lambda: (["C10"] >> ops.JoinExternal(_items(), on="C10"))["price"]
    >> ops.FillMissing(0.0) >> ops.Normalize(),
    "a joined category": lambda: (["C10"] >> ops.JoinExternal(_items(), on="C10"))["brand"]
    >> ops.FillMissing("none") >> ops.Categorify(),
}  # fmt: skip


def _items() -> pd.DataFrame:
    """A number and a text for each of the 10,000 commonest values of C10."""
    rank = np.arange(10_000)
    brands = [f"brand {number % 300}" for number in rank.tolist()]
    key = criteo_rows.value_of(rank)
    return pd.DataFrame({"C10": key, "price": rank % 100 + 0.5, "brand": brands})


def measure_several_keys(benchmark: Benchmark, scratch: Path, rows: int) -> None:
    """One online row of Criteo's columns, with each operator on several keys, and with all.

    The plans' requests alternate, so that drift of the machine affects all alike.
    """
    given = scratch / "criteo"
    criteo_rows.write_parquet(given, rows)
    criteo = build(WorkflowSettings(graph="criteo"), criteo_rows.KINDS, rows).workflow.output_node
    graphs = {"nothing else": [], **{name: [one] for name, one in SEVERAL_KEYS.items()}}
    graphs["all"] = [*SEVERAL_KEYS.values()]
    executors = {}
    for number, (name, more) in enumerate(graphs.items()):
        out = scratch / f"several-{number}"
        graph = reduce(add, [one() for one in more], criteo)
        ours(partial(Workflow, graph), criteo_rows.KINDS, given, out)
        executors[name] = OnlineExecutor(read_plan(out / "plan"))
    requests = requests_of_one(executors["all"], given)
    times: dict[str, list[float]] = {name: [] for name in executors}
    for _ in range(ROUNDS):
        for name, executor in executors.items():
            times[name] += microseconds(executor.transform, requests)
    for name, of_name in times.items():
        benchmark.add(f"1 row of 26 + 13 columns, {name}", "µs", {OURS: of_name})
    median = {name: statistics.median(of_name) for name, of_name in times.items()}
    for name in SEVERAL_KEYS:
        more_time = median[name] - median["nothing else"]
        benchmark.at_most(f"µs more for {name}", more_time, 10.0)
    benchmark.at_most("µs for 1 row with all of them", median["all"], 60.0)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rows", type=int, default=ROWS, help=f"{ROWS:,} by default")
    arguments.add_argument(
        "--only", default="", metavar="TEXT", help="cases whose name has it, such as 'several keys'"
    )
    options = arguments.parse_args()
    rows, repeats = (4000, 1) if options.quick else (options.rows, REPEATS)
    benchmark, ratios = Benchmark("operators"), {}
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        write_rows(scratch / "rows", rows)
        write_one_part(scratch / "rows", scratch / "one part")
        for case in CASES:
            if options.only in case.name:
                given = scratch / ("one part" if case.one_part else "rows")
                ratios[case.name] = measure(benchmark, case, given, scratch, repeats)
                times = one_row(read_plan(scratch / "ours" / "plan"), given)
                benchmark.add(f"{case.name}, 1 row online", "µs", {OURS: times})
        if options.only in "several keys":
            measure_several_keys(benchmark, scratch, rows // 4)
    if ratios:
        targets_of(benchmark, ratios)
    benchmark.report(options.json)


def targets_of(benchmark: Benchmark, ratios: dict[str, float]) -> None:
    worst = min(ratios, key=lambda case: ratios[case])
    benchmark.at_least(f"times NVTabular, the least of all: {worst}", ratios[worst], 1.0)
    mean = math.exp(statistics.fmean(map(math.log, ratios.values())))
    benchmark.at_least("times NVTabular, geometric mean", mean, 4.0)


def _read(folder: Path) -> pl.DataFrame:
    """The encoded rows, in order."""
    files = sorted(folder.glob("*.parquet"), key=lambda file: (len(file.name), file.name))
    return pl.concat([pl.read_parquet(file) for file in files], how="vertical_relaxed")


def _ignore(rows: int) -> None:
    """Progress that is not shown."""


if __name__ == "__main__":
    main()
