"""What every engine makes of typed splits: the plan, and the encoded files beside it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.columns import CLICK, FeatureKind
from features.errors import DataError
from features.plan import OutputColumn, Plan
from features.steps.categorify import FIRST_VOCABULARY_ID
from features.typed import CLICK_TYPE, check_types, read_typed, typed_schema
from features.vocabulary import Vocabulary

TRAIN = "train"


@dataclass(frozen=True, slots=True)
class EtlResult:
    """What an engine made: the plan, the rows of each split, and the seconds it took."""

    plan: Plan
    rows: dict[str, int]
    fit_seconds: float
    transform_seconds: float


@dataclass(frozen=True, slots=True)
class Part:
    """A typed file of a split, its number of rows, and the file that it is encoded to."""

    source: Path
    rows: int
    target: Path


def prepare(
    splits: Mapping[str, Path], kinds: Mapping[str, FeatureKind], out: Path
) -> dict[str, list[Part]]:
    """Check the typed splits, and empty the folders `out/<split>` and `out/plan`.

    Raises
    ------
    DataError
        A split without files, a training split without rows, a column that is missing, of another
        type, or null in every training row.
    """
    parts = {split: _parts(split, folder, out / split) for split, folder in splits.items()}
    _check(parts, kinds)
    for folder in (*splits, "plan"):
        emptied(out / folder)
    return parts


def encoded_schema(
    outputs: Sequence[OutputColumn], vocabularies: Mapping[str, Vocabulary]
) -> pa.Schema:
    """The encoded files' columns: the plan's outputs, ids as narrow as they fit, then the click."""
    limit = np.iinfo(np.int32).max
    fields = []
    for column in outputs:
        if not column.is_categorical:
            fields.append((column.name, pa.float32()))
        else:
            fits = FIRST_VOCABULARY_ID + len(vocabularies[column.name]) <= limit
            fields.append((column.name, pa.int32() if fits else pa.int64()))
    return pa.schema([*fields, (CLICK, CLICK_TYPE)])


def write_table(table: pa.Table, file: Path) -> None:
    """Zstandard-compressed; the file is whole or not there."""
    partial = file.with_name(file.name + ".partial")
    pq.write_table(table, partial, compression="zstd")
    partial.replace(file)


def emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _parts(split: str, folder: Path, out: Path) -> list[Part]:
    files = sorted(folder.glob("part-*.parquet"))
    if not files:
        raise DataError(
            f"{folder}: wanted files part-*.parquet of split {split!r}, found none. "
            "Run the ingest stage again."
        )
    return [Part(file, pq.read_metadata(file).num_rows, out / file.name) for file in files]


def _check(parts: Mapping[str, Sequence[Part]], kinds: Mapping[str, FeatureKind]) -> None:
    schema = typed_schema(kinds)
    for of_split in parts.values():
        for part in of_split:
            check_types(part.source, schema)
    if not any(part.rows for part in parts[TRAIN]):
        raise DataError(f"{parts[TRAIN][0].source.parent}: the training split has no rows.")
    unseen = list(kinds)
    for part in parts[TRAIN]:
        table = read_typed(part.source, pa.schema([schema.field(name) for name in unseen]))
        unseen = [name for name in unseen if not pc.count(table[name]).as_py()]
        if not unseen:
            return
    raise DataError(
        f"Column {unseen[0]!r} is null in every row of the training split, so there is "
        "nothing to fit. Declare its kind as unused."
    )
