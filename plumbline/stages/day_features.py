"""The features of an appended day: by the parent's statistics and the day's, or by its plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from plumbline.base.console import warn
from plumbline.base.manifest import Manifest
from plumbline.columns.rows import RowSource
from plumbline.features.engine.encoded import EtlResult
from plumbline.features.engine.native_engine import NativeEngine, transform
from plumbline.features.engine.part_files import write_part
from plumbline.features.fitting.appending import Earlier
from plumbline.features.fitting.kept import STATISTICS
from plumbline.features.plan.plan import Plan, read_plan
from plumbline.features.plan.unfitted import UnfittedPlan
from plumbline.stages.finished import Finished
from plumbline.stages.run import PARENT, Run

REPLAY = "replay"
"""The folder of the replayed rows, beside those of the splits."""


def fit_and_encode(
    run: Run,
    inputs: Mapping[str, Finished],
    plan: UnfittedPlan,
    source: RowSource,
    out: Path,
    progress: Callable[[int], None],
) -> EtlResult:
    """Encode the day by the plan of all rows so far, or by the parent's plan if it is frozen."""
    parent = inputs[f"{PARENT}etl"]
    earlier = read_plan(parent.path("plan"))
    if run.config.append.statistics == "frozen":
        return transform(earlier, source, out, progress, run.config.seed)
    return NativeEngine(plan).fit_transform(
        source,
        out,
        progress,
        run.config.seed,
        keep_statistics=run.config.append.keeps_statistics(run.engine),
        earlier=Earlier(earlier, parent.path(STATISTICS)),
    )


def training_rows_of_graph(inputs: Mapping[str, Finished]) -> int:
    """The number of training rows that the graph was first built for; see `Graph`.

    A day must not change the graph, whose defaults may follow that number.
    """
    if f"{PARENT}etl" not in inputs:
        return inputs["ingest"].manifest.rows["train"]
    etl, ingest = (inputs[PARENT + name].manifest for name in ("etl", "ingest"))
    return first_training_rows(etl, ingest)


def first_training_rows(etl: Manifest, ingest: Manifest) -> int:
    """The number that the graph of the run with these manifests was built for."""
    return int(etl.facts.get("graph_rows", ingest.rows["train"]))


def grown(before: Plan, plan: Plan) -> dict[str, int]:
    """Output to the number of its new ids, if it has some."""
    pairs = zip(before.categorical, plan.categorical, strict=True)
    added = {new.name: new.cardinality - old.cardinality for old, new in pairs}
    return {name: count for name, count in added.items() if count}


@dataclass(frozen=True, slots=True)
class Day:
    """The rows and facts that an appended day adds to the stage's manifest."""

    rows: dict[str, int]
    facts: dict[str, Any]


def finish_day(
    run: Run,
    inputs: Mapping[str, Finished],
    encoded: EtlResult,
    before: dict[str, Any],
    out: Path,
) -> Day:
    """Replay older rows, and describe the day; `before` are its metrics before training."""
    parent = inputs[f"{PARENT}etl"]
    for name, count in encoded.left_out.items():
        warn(
            f"Column {name!r}: {count:,} values are frequent enough for an id, but its vocabulary "
            "is at its limit: they stay out of vocabulary"
        )
    replayed = replay(run, inputs, encoded.rows["train"], out)
    files = [Path(file).name for file in inputs["ingest"].manifest.facts["read"]["files"]]
    earlier = parent.manifest.facts.get("append", {}).get("days", [])
    facts = {
        "parent": str(run.parent),
        "statistics": run.config.append.statistics,
        "new_ids": grown(read_plan(parent.path("plan")), encoded.plan),
        "left_out_by_limit": encoded.left_out,
        "replayed": replayed,
        "days": [*earlier, {"files": files, **before}],
    }
    return Day({REPLAY: replayed}, {"append": facts, "older_rows": older_rows(inputs)})


def older_rows(inputs: Mapping[str, Finished]) -> int:
    """The number of training rows of all runs before."""
    parent = inputs[f"{PARENT}etl"].manifest
    return int(parent.facts.get("older_rows", 0)) + parent.rows["train"]


def replay(run: Run, inputs: Mapping[str, Finished], rows: int, out: Path) -> int:
    """Write older training rows into `out/replay`, as many as `append.replay` says for `rows`.

    They are drawn from the parent's own training rows, and from those that it replayed itself, in
    proportion to the rows that each stands for. So nothing older is read. The files and row groups
    are drawn whole: the native engine has shuffled the rows over them.
    """
    parent = inputs[f"{PARENT}etl"]
    counts = parent.manifest.rows
    own, replayed = counts["train"], counts.get(REPLAY, 0)
    before = older_rows(inputs) - own if replayed else 0
    wanted = min(round(run.config.append.replay * rows), own + replayed)
    of_before = min(round(wanted * before / (own + before)), replayed)
    of_own = min(wanted - of_before, own)
    written = 0
    if wanted:
        (out / REPLAY).mkdir()
        generator = np.random.default_rng(run.config.seed)
        for split, count in (("train", of_own), (REPLAY, of_before)):
            for table in _drawn(parent, split, count, generator):
                write_part(table, out / REPLAY / f"part-{written:05d}.parquet")
                written += 1
    return of_own + of_before


def _drawn(
    parent: Finished, split: str, rows: int, generator: np.random.Generator
) -> Iterator[pa.Table]:
    """So many rows of a split of the parent's; only the files that are read are checked."""
    names = sorted(name for name in parent.manifest.files if name.startswith(f"{split}/"))
    for index in generator.permutation(len(names)):
        if not rows:
            return
        with pq.ParquetFile(parent.path(names[index])) as parquet:
            for group in generator.permutation(parquet.num_row_groups):
                if rows:
                    table = parquet.read_row_group(int(group)).slice(0, rows)
                    rows -= len(table)
                    yield table
