"""The sides of the ETL benchmark, each run in its own process.

    python -m benchmarks.etl_sides SIDE FORMAT INPUT OUT

FORMAT is `parquet` (INPUT is a folder of typed files) or `text` (INPUT is a raw log). A side fits,
encodes and writes, at zstd level 1, and the process prints seconds (imports left out) and its peak
resident memory as JSON. The encoded training files are `OUT/train/*.parquet`.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.criteo_rows import CATEGORICAL, CONTINUOUS, KINDS, LOG
from plumbline.columns.kinds import CLICK

if TYPE_CHECKING:
    import polars as pl

THRESHOLD = 15
TEXT_COLUMNS = [CLICK, *CONTINUOUS, *CATEGORICAL]
IN_MEMORY_BYTES = 2 << 30
"""A hand-written script reads a text once, up to this size; a larger one would not fit."""


def ours() -> Callable[[str, Path, Path], None]:
    from benchmarks.criteo_workflow import criteo_workflow
    from plumbline.columns.typed import TypedParquet
    from plumbline.features.engine.native_engine import NativeEngine
    from plumbline.nvtabular.compile import compile_unfitted

    def run(file_format: str, given: Path, out: Path) -> None:
        plan = compile_unfitted(criteo_workflow(out / "vocabulary", THRESHOLD), KINDS)
        rows = (
            TypedParquet({"train": given}, KINDS) if file_format == "parquet" else _raw_log(given)
        )
        NativeEngine(plan).fit_transform(rows, out, _ignore)

    return run


def nvtabular() -> Callable[[str, Path, Path], None]:
    """Unpatched NVTabular on pandas, with its own reader and writer."""
    from benchmarks.criteo_workflow import criteo_workflow
    from plumbline.nvtabular.library import Dataset

    def run(file_format: str, given: Path, out: Path) -> None:
        if file_format == "parquet":
            log = Dataset(str(given), engine="parquet", cpu=True)
        else:
            types = dict.fromkeys(CONTINUOUS, "float32") | dict.fromkeys(CATEGORICAL, "str")
            log = Dataset(
                str(given), engine="csv", cpu=True, sep="\t", names=TEXT_COLUMNS,
                dtype={CLICK: "int8", **types},
            )  # fmt: skip
        workflow = criteo_workflow(out / "vocabulary", THRESHOLD).fit(log)
        workflow.transform(log).to_parquet(str(out / "train"))

    return run


def plain_polars() -> Callable[[str, Path, Path], None]:
    """A script as written by hand: count, normalize, join, one query, one file."""
    import polars as pl

    def run(file_format: str, given: Path, out: Path) -> None:
        (out / "train").mkdir(parents=True)
        raw = _scan(file_format, given)
        logged = [(pl.col(n).fill_null(0).clip(0) + 1).log().alias(n) for n in CONTINUOUS]
        statistics = raw.select(logged).select(
            *(pl.col(n).mean().name.suffix(".mean") for n in CONTINUOUS),
            *(pl.col(n).std().name.suffix(".std") for n in CONTINUOUS),
        )
        counted = [
            raw.select(pl.col(name))
            .drop_nulls()
            .group_by(name)
            .len()
            .filter(pl.col("len") >= THRESHOLD)
            .sort("len", name, descending=[True, False])
            .with_row_index("id", offset=3)
            .select(name, pl.col("id").cast(pl.Int32).alias(f"{name}.id"))
            for name in CATEGORICAL
        ]
        moments, *vocabularies = pl.collect_all([statistics, *counted])
        frame = raw.with_columns(logged).collect()
        for name, vocabulary in zip(CATEGORICAL, vocabularies, strict=True):
            frame = frame.join(vocabulary, on=name, how="left", maintain_order="left")
        ids = [
            pl.when(pl.col(name).is_null()).then(1).otherwise(pl.col(f"{name}.id").fill_null(2))
            .cast(pl.Int32).alias(name)
            for name in CATEGORICAL
        ]  # fmt: skip
        floats = [
            ((pl.col(n) - moments[f"{n}.mean"][0]) / moments[f"{n}.std"][0])
            .cast(pl.Float32)
            .alias(n)
            for n in CONTINUOUS
        ]
        file = out / "train" / "part-00000.parquet"
        encoded = frame.select(*ids, *floats, CLICK)
        encoded.write_parquet(file, compression="zstd", compression_level=1)

    return run


def _scan(file_format: str, given: Path) -> pl.LazyFrame:
    """Typed files are scanned; text is read once if it fits, and its categories stay text."""
    import polars as pl

    if file_format == "parquet":
        return pl.scan_parquet(given / "part-*.parquet")
    types = dict.fromkeys(CONTINUOUS, pl.Float32()) | dict.fromkeys(CATEGORICAL, pl.String())
    scan = pl.scan_csv(
        given, separator="\t", has_header=False, quote_char=None,
        schema={CLICK: pl.Int8(), **types},
    )  # fmt: skip
    return scan.collect().lazy() if given.stat().st_size <= IN_MEMORY_BYTES else scan


def _raw_log(given: Path) -> Any:
    """The log as the stages read it, after a survey; two small files are validation and test."""
    from plumbline.rawlogs.ingest import fingerprints_of
    from plumbline.rawlogs.raw_log import RawLog
    from plumbline.rawlogs.row_parser import RowParser
    from plumbline.rawlogs.survey import survey
    from plumbline.settings import Config

    config = Config.model_validate(
        {
            "name": "benchmark",
            "log": LOG,
            "split": {"by": "file", "valid": [1], "test": [2]},
            "workflow": {"graph": "criteo"},
        }
    )
    files = [given, *(given.with_name(f"{given.name}.{split}") for split in ("valid", "test"))]
    parser = RowParser(config, files)
    surveyed = survey(config, files, parser, _ignore)
    return RawLog(config, files, surveyed.survey, fingerprints_of(config, files), parser)


def _ignore(rows: int) -> None:
    """Progress that is not shown."""


SIDES = {"ours": ours, "nvtabular": nvtabular, "plain polars": plain_polars}


def main(side: str, file_format: str, given: str, out: str) -> None:
    work = SIDES[side]()
    start = time.perf_counter()
    work(file_format, Path(given), Path(out))
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    sys.stdout.write(json.dumps({"seconds": seconds, "peak_mb": peak}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
