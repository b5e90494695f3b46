"""Fitted steps that have files: written into the plan's folder, and named by the step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from plumbline.base.file_names import file_name
from plumbline.features.lookup.tables import VALUE, write_table
from plumbline.features.lookup.vocabulary import Vocabulary
from plumbline.features.operators import Categorify, KeyedValue
from plumbline.features.operators.categorify import OUT_OF_VOCABULARY_ID


def categorify(
    folder: Path,
    name: str,
    parts: Sequence[pa.Array],
    count: NDArray[np.int64],
    *,
    frequency_threshold: int,
    limit: int | None,
    num_buckets: int,
    sources: Sequence[str],
) -> Categorify:
    """Write `vocabulary/<name>.parquet` (see `plumbline.base.file_names`) and its index.

    Parameters
    ----------
    parts
        The values in the order of their ids: one int64 or string array (V,), or one for each of
        the combined `sources`, with nulls where a part is missing.
    count
        How often each was seen, int64 (V,).
    """
    first = OUT_OF_VOCABULARY_ID + num_buckets
    value = parts[0] if len(parts) == 1 else pa.StructArray.from_arrays(list(parts), list(sources))
    ids = pa.array(np.arange(first, first + len(value), dtype=np.int64))
    file = f"vocabulary/{file_name(name)}.parquet"
    sha256, index_sha256 = Vocabulary(value, ids, pa.array(count)).write(folder, file)
    return Categorify(
        frequency_threshold=frequency_threshold,
        limit=limit,
        num_buckets=num_buckets,
        cardinality=first + len(value),
        vocabulary=file,
        sha256=sha256,
        index_sha256=index_sha256,
    )


def keyed_value(
    folder: Path,
    name: str,
    parts: Sequence[pa.Array],
    sources: Sequence[str],
    values: NDArray[np.float64],
    *,
    default: float | None,
    null: float | None,
) -> KeyedValue:
    """Write `keyed_value/<name>.parquet` and its index.

    Parameters
    ----------
    parts
        The distinct keys, an int64 or string array (V,) for each of the `sources`.
    values
        float64 (V,); NaN is missing.
    default, null
        What an unknown key has, and one of which every part is missing; None is missing.
    """
    columns = {f"key {source}": part for source, part in zip(sources, parts, strict=True)}
    file = f"keyed_value/{file_name(name)}.parquet"
    table = pa.table({**columns, VALUE: values})
    return KeyedValue(file, *write_table(folder, file, parts, table), default, null)
