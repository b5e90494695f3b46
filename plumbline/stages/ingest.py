"""Stage ingest: check and count the raw logs, and take the probe split from them.

Later stages read the rows from the raw files. If the engine or the split cannot, or if the
configuration asks for it, the rows are kept as typed Parquet, one folder for each split.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from plumbline.base.console import progress_bar, say
from plumbline.base.file_checks import hashed_beside
from plumbline.base.files import remove
from plumbline.columns.kinds import CLICK
from plumbline.rawlogs.estimate import estimated_rows
from plumbline.rawlogs.fingerprint import Fingerprint
from plumbline.rawlogs.ingest import Ingested, fingerprints_of, ingest, ingest_typed
from plumbline.rawlogs.raw_log import are_read_apart
from plumbline.rawlogs.raw_rows import undeclared_columns
from plumbline.rawlogs.remote import RemoteLog
from plumbline.rawlogs.side_tables import table_files
from plumbline.rawlogs.sources import resolve_files
from plumbline.rawlogs.text.headers import listed
from plumbline.stages.finished import Finished
from plumbline.stages.run import Run
from plumbline.stages.stage import Stage, StageResult

COPY = "log"
"""The folder of a log that is copied from an object store; a typed copy takes its place."""


def settings(run: Run) -> dict[str, Any]:
    chosen = log_settings(run)
    if _is_remote(run):
        chosen["data"] = RemoteLog.of(run.config, run.remote).fingerprints
    elif run.config.click_model is None:
        files = resolve_files(run.config.log, run.data)
        read = [*files, *table_files(run.config, files).values()]
        chosen["data"] = [asdict(Fingerprint.of(file)) for file in read]
    return chosen


def log_settings(run: Run) -> dict[str, Any]:
    """The settings by which the log's rows are read and split."""
    used = {"seed", "log", "tables", "label", "split", "serving"}
    chosen = run.config.model_dump(mode="json", include=used)
    chosen["serving"] = {"probe_rows": run.config.serving.probe_rows}
    return chosen


def work(run: Run, inputs: Mapping[str, Finished], out: Path) -> StageResult:
    files = _copied(run, out) if _is_remote(run) else log_files(run, inputs)
    fingerprints = fingerprints_of(run.config, files)
    write = ingest_typed if keeps_typed_copy(run, files) else ingest
    _show_undeclared_columns(run, files)
    tables = table_files(run.config, files)
    whole = files if run.config.log.format == "parquet" else ()
    with (
        progress_bar("reading", estimated_rows(run.config.log, files)) as progress,
        hashed_beside((*whole, *tables.values())) as hashes,
    ):
        ingested = write(run.config, files, out, progress)
    for fingerprint, file in zip(fingerprints, (*files, *tables.values()), strict=True):
        fingerprint.require(file)
    if keeps_typed_copy(run, files):
        remove(out / COPY)
    for example in ingested.examples:
        say(f"  malformed: {example}", style="yellow")
    for advice in ingested.advice:
        say(f"  of these, {advice}", style="yellow")
    for line in _left_out(ingested):
        say(f"  {line}")
    schema = [{"name": name, "kind": kind} for name, kind in run.config.features.items()]
    facts = {key: value for key, value in asdict(ingested).items() if key != "rows"}
    facts["read"] = {
        "files": [str(file.resolve()) for file in files],
        "fingerprints": [asdict(fingerprint) for fingerprint in fingerprints],
        "sha256": [hashes[file] for file in whole],
        "tables": {name: hashes[file] for name, file in tables.items()},
    }
    return StageResult(ingested.rows, [*schema, {"name": CLICK, "kind": "label"}], facts)


def _is_remote(run: Run) -> bool:
    return bool(run.remote) and run.config.click_model is None


def _copied(run: Run, out: Path) -> tuple[Path, ...]:
    """The log's files, copied from an object store."""
    log = RemoteLog.of(run.config, run.remote)
    with progress_bar("copying", log.bytes, "bytes") as progress:
        return log.copy(out / COPY, progress)


def _left_out(ingested: Ingested) -> Iterator[str]:
    """Lines about the rows that are in no split."""
    left_out = ingested.left_out
    if left_out["no_split"]:
        yield f"left out: {left_out['no_split']:,} rows that belong to no split"
    if left_out["gap"]:
        yield f"left out: {left_out['gap']:,} rows within split.gap"
    if left_out["negatives"]:
        yield (
            f"left out: {left_out['negatives']:,} training rows without a click, "
            f"{ingested.keep_negatives:.2%} kept; clicks "
            f"{ingested.click_rate['train']:.3%} before, {ingested.sampled_click_rate:.3%} after"
        )


def _show_undeclared_columns(run: Run, files: Sequence[Path]) -> None:
    names = undeclared_columns(files, run.config.log)
    if names:
        columns = "column is" if len(names) == 1 else "columns are"
        say(f"  {len(names)} {columns} not in log.columns and left out: {listed(names)}")


def keeps_typed_copy(run: Run, files: Sequence[Path]) -> bool:
    """Whether the engine, the split or a setting needs the rows as typed Parquet."""
    config = run.config
    if run.engine == "nvtabular" or config.split.by == "time" or config.log.typed_copy:
        return True
    return run.engine == "spark" and not are_read_apart(files, config.log)


def log_files(run: Run, inputs: Mapping[str, Finished]) -> tuple[Path, ...]:
    """The files of the drawn log, or those named on the command line."""
    if "generate" in inputs:
        generated = inputs["generate"]
        return tuple(generated.path(name) for name in generated.manifest.facts["files"])
    return resolve_files(run.config.log, run.data)


def needs(run: Run) -> tuple[str, ...]:
    return () if run.config.click_model is None else ("generate",)


STAGE = Stage("ingest", needs, settings, work)
