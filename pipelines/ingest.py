"""Stage ingest: raw logs to typed Parquet, one folder a split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from features.columns import CLICK
from pipelines.command import stage_main
from pipelines.console import console, progress_bar
from pipelines.stage import Finished, Made, RunConfig, Stage
from rawlogs.estimate import estimated_rows
from rawlogs.ingest import ingest
from rawlogs.side_tables import table_files
from rawlogs.sources import require_readable, resolve_files


def settings(run: RunConfig) -> dict[str, Any]:
    used = {"seed", "log", "tables", "label", "split", "serving"}
    chosen = run.config.model_dump(mode="json", include=used)
    chosen["serving"] = {"probe_rows": run.config.serving.probe_rows}
    if run.config.click_model is None:
        files = resolve_files(run.config.log, run.data)
        read = [*files, *table_files(run.config, files).values()]
        chosen["data"] = [_fingerprint(file) for file in read]
    return chosen


def work(run: RunConfig, inputs: Mapping[str, Finished], out: Path) -> Made:
    files = _files(run, inputs)
    with progress_bar("reading", estimated_rows(run.config.log, files)) as progress:
        made = ingest(run.config, files, out, progress)
    for example in made.examples:
        console.print(f"  malformed: {example}", style="yellow", markup=False, soft_wrap=True)
    schema = [{"name": name, "kind": kind} for name, kind in run.config.features.items()]
    facts = {key: value for key, value in asdict(made).items() if key != "rows"}
    return Made(made.rows, [*schema, {"name": CLICK, "kind": "label"}], facts)


def _files(run: RunConfig, inputs: Mapping[str, Finished]) -> tuple[Path, ...]:
    if "generate" in inputs:
        generated = inputs["generate"]
        return tuple(generated.folder / name for name in generated.manifest.facts["files"])
    return resolve_files(run.config.log, run.data)


def _fingerprint(file: Path) -> dict[str, Any]:
    """What tells one raw file from another without reading it all."""
    require_readable(file)
    found = file.stat()
    return {"file": file.name, "bytes": found.st_size, "modified_ns": found.st_mtime_ns}


def needs(run: RunConfig) -> tuple[str, ...]:
    return () if run.config.click_model is None else ("generate",)


STAGE = Stage("ingest", needs, settings, work)

if __name__ == "__main__":
    stage_main(STAGE, __doc__)
