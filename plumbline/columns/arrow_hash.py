"""The hash of Arrow columns that a graph gives, such as a joined table's."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import numpy as np
import pyarrow as pa

from plumbline.columns.keys import part_values
from plumbline.columns.values import Text


def columns_sha256(columns: Sequence[pa.Array]) -> str:
    """The SHA-256 of int64, float64 and string arrays, missing values included."""
    digest = sha256()
    arrays: Sequence[Any]
    for column in columns:
        if pa.types.is_floating(column.type):
            numbers = np.asarray(column.fill_null(np.nan), np.float64)
            arrays = [np.where(np.isnan(numbers), np.nan, numbers)]
        else:
            values = part_values(column)
            arrays = [values.offsets, values.data] if isinstance(values, Text) else [values]
        for array in arrays:
            digest.update(f"{array.dtype} {len(array)} ".encode() + array.tobytes())
    return digest.hexdigest()
