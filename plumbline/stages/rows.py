"""The rows that stage etl reads: from the surveyed log, or from its typed copy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plumbline.base.errors import StageError
from plumbline.base.manifest import differences
from plumbline.base.read_ahead import THREADS, read_ahead
from plumbline.columns.kinds import FeatureKind
from plumbline.columns.rows import Chunk, RowSource
from plumbline.columns.typed import TypedParquet
from plumbline.rawlogs.fingerprint import ChangedContent, Fingerprint
from plumbline.rawlogs.ingest import PROBE, SURVEY_FILE
from plumbline.rawlogs.raw_log import RawLog, are_read_apart
from plumbline.rawlogs.side_tables import table_files
from plumbline.rawlogs.splits.split import SPLITS
from plumbline.rawlogs.survey import Survey
from plumbline.stages import ingest
from plumbline.stages.finished import Finished
from plumbline.stages.run import Run


def row_source(run: Run, inputs: Mapping[str, Finished]) -> RowSource:
    """The rows of the splits train, valid, test and probe.

    Raises
    ------
    StageError
        The stage ingest ran with other settings, or for an engine that reads other rows.
    DataError
        A raw file is missing, or was changed after the ingest.
    """
    ingested = inputs["ingest"]
    if has_typed_copy(ingested):
        return TypedParquet(typed_folders(ingested), run.config.features)
    _require_same_settings(run, ingested)
    read = ingested.manifest.facts["read"]
    files = _raw_files(run, inputs, read)
    if run.engine == "spark" and not are_read_apart(files, run.config.log):
        raise StageError(
            f"{ingested.folder}: no typed copy of the log, which --engine spark reads of packed "
            "files and of Parquet. Run again with --from ingest."
        )
    _check(run, ingested, files)
    log = RawLog(
        run.config,
        files,
        Survey.read(ingested.path(SURVEY_FILE)),
        [Fingerprint(**fields) for fields in read["fingerprints"]],
    )
    return _LogAndProbe(log, TypedParquet({PROBE: ingested.path(PROBE)}, log.kinds))


def _check(run: Run, ingested: Finished, files: Sequence[Path]) -> None:
    """Check the content of a Parquet log's files and of the side tables; see `Finished.checks`.

    Text is checked by `RawLog` as it is read.
    """
    read = ingested.manifest.facts["read"]
    tables = table_files(run.config, tuple(files))
    hashes = [*zip(files, read["sha256"], strict=False)]
    hashes += [(file, read["tables"][name]) for name, file in tables.items()]
    for file, sha256 in hashes:
        ingested.checks.add(file, sha256, ChangedContent)


def read_log(run: Run, inputs: Mapping[str, Finished]) -> None:
    """Read the log's rows, if stage etl reads them from it, which checks their content.

    Raises
    ------
    DataError
        See `row_source`.
    """
    if has_typed_copy(inputs["ingest"]):
        return
    source = row_source(run, inputs)
    with ThreadPoolExecutor(THREADS) as pool:
        for split in source.splits:
            for _ in read_ahead(pool, source.chunks(split), THREADS):
                pass


def typed_folders(ingested: Finished) -> dict[str, Path]:
    """Split to its folder of typed Parquet.

    Raises
    ------
    StageError
        The stage ingest kept no typed copy.
    """
    if not has_typed_copy(ingested):
        raise StageError(
            f"{ingested.folder}: no typed copy of the log, which --engine nvtabular reads. "
            "Run again with --from ingest."
        )
    return {split: ingested.path(split) for split in (*SPLITS, PROBE)}


def has_typed_copy(ingested: Finished) -> bool:
    return SURVEY_FILE not in ingested.manifest.files


def _require_same_settings(run: Run, ingested: Finished) -> None:
    """The log must be read with the settings that it was surveyed with.

    The files are not compared here; `RawLog` does that.
    """
    changed = differences(
        {**ingested.manifest.settings, "data": None}, {**ingest.log_settings(run), "data": None}
    )
    if changed:
        raise StageError(
            f"{ingested.folder}: the settings have changed: {'; '.join(changed)}. "
            "Run again with --from ingest, or with another --out."
        )


def _raw_files(
    run: Run, inputs: Mapping[str, Finished], read: Mapping[str, Any]
) -> tuple[Path, ...]:
    """The drawn files, or those that --data names; without it, those that the ingest read.

    They are not checked as files of a stage: `RawLog` does it as it reads them.
    """
    if "generate" in inputs:
        generated = inputs["generate"]
        return tuple(generated.folder / name for name in generated.manifest.facts["files"])
    if not run.data:
        return tuple(Path(file) for file in read["files"])
    return ingest.log_files(run, inputs)


@dataclass(frozen=True, slots=True)
class _LogAndProbe:
    """The splits of the log, and the probe that stage ingest wrote."""

    log: RawLog
    probe: TypedParquet

    @property
    def kinds(self) -> Mapping[str, FeatureKind]:
        return self.log.kinds

    @property
    def splits(self) -> Mapping[str, int]:
        return {**self.log.splits, **self.probe.splits}

    def chunks(self, split: str) -> Iterator[Chunk]:
        return (self.probe if split == PROBE else self.log).chunks(split)
