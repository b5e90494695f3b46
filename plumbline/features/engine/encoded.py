"""The output of every engine: the plan, and the encoded files beside it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from plumbline.base.errors import DataError
from plumbline.columns.kinds import CLICK, FeatureKind
from plumbline.columns.rows import TRAIN
from plumbline.columns.typed import CLICK_TYPE, check_types, part_files, typed_schema
from plumbline.features.encoding.encoder import Encoded
from plumbline.features.plan.plan import OutputColumn, Plan


@dataclass(frozen=True, slots=True)
class EtlResult:
    """The plan, the number of rows of each split, and the seconds it took."""

    plan: Plan
    rows: dict[str, int]
    fit_seconds: float
    transform_seconds: float
    left_out: dict[str, int] = field(default_factory=dict)
    """See `plumbline.features.fitting.fit.Fitted`."""


@dataclass(frozen=True, slots=True)
class Part:
    """A typed file of a split, its number of rows, and the file it is encoded to."""

    source: Path
    rows: int
    target: Path


def prepare(
    splits: Mapping[str, Path], kinds: Mapping[str, FeatureKind], out: Path
) -> dict[str, list[Part]]:
    """Check the typed splits, and clear the folders `out/<split>` and `out/plan`.

    Raises
    ------
    DataError
        A split has no files, the training split has no rows, or a column is missing or has another
        type.
    """
    schema = typed_schema(kinds)
    parts = {}
    for split, folder in splits.items():
        files = part_files(split, folder)
        for file in files:
            check_types(file, schema)
        rows = [pq.read_metadata(file).num_rows for file in files]
        parts[split] = [
            Part(file, count, out / split / file.name)
            for file, count in zip(files, rows, strict=True)
        ]
    require_rows(sum(part.rows for part in parts[TRAIN]))
    for name in (*splits, "plan"):
        emptied(out / name)
    return parts


def require_rows(training_rows: int) -> None:
    """Raises DataError if there are no training rows."""
    if not training_rows:
        raise DataError("The training split has no rows: there is nothing to fit.")


def encoded_schema(outputs: Sequence[OutputColumn]) -> pa.Schema:
    """The schema of encoded files: the plan's outputs, ids as int32 if they fit, then the click."""
    fields = []
    for column in outputs:
        type_ = pa.float32()
        if column.is_categorical:
            type_ = pa.int32() if fits_int32(column) else pa.int64()
        fields.append((column.name, pa.large_list(type_) if column.is_list else type_))
    return pa.schema([*fields, (CLICK, CLICK_TYPE)])


def encoded_columns(encoded: Encoded, types: Sequence[pa.DataType]) -> list[pa.Array]:
    """The columns of encoded rows in plan order, as Arrow arrays of these types."""
    ids, bags, dense = iter(encoded.ids_BF.T), iter(encoded.bags), iter(encoded.dense_BC.T)
    columns = []
    for type_ in types:
        if pa.types.is_large_list(type_):
            bag = next(bags)
            values = pa.array(np.asarray(bag.values), type_.value_type)
            columns.append(pa.LargeListArray.from_arrays(pa.array(bag.offsets), values))
        else:
            values_B = next(ids if pa.types.is_integer(type_) else dense)
            columns.append(pa.array(values_B.astype(type_.to_pandas_dtype(), copy=False)))
    return columns


def fits_int32(column: OutputColumn) -> bool:
    return column.cardinality - 1 <= np.iinfo(np.int32).max


def emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
