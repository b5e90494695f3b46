"""NVTabular's operators that compute ids: the same ones on every device and in every row."""

from __future__ import annotations

from typing import Any

import numpy as np

from plumbline.nvtabular.library import ops
from plumbline.nvtabular.patched.columns import (
    elements,
    frame_of,
    hashes,
    is_host,
    is_list,
    keys,
    numbers,
    relisted,
)


class Bucketize(ops.Bucketize):
    """A missing number is in the last bucket on every device."""

    def transform(self, col_selector: Any, df: Any) -> Any:
        columns = {}
        for name in col_selector.names:
            column = numbers(df[name])
            values = column.to_numpy() if is_host(column) else column.fillna(np.nan).to_numpy()
            columns[name] = np.digitize(values, np.asarray(self.boundaries(name), np.float64))
        return frame_of(df, columns)


class HashBucket(ops.HashBucket):
    """By the value alone, and by each value of a list."""

    def transform(self, col_selector: Any, df: Any) -> Any:
        columns = {}
        for name in col_selector.names:
            count = self.num_buckets
            count = count[name] if isinstance(count, dict) else count
            column = df[name]
            if is_list(column):
                columns[name] = relisted(column, _modulo(hashes(elements(column)), count))
            else:
                columns[name] = _modulo(hashes(_single(column)), count)
        return frame_of(df, columns)


class HashedCross(ops.HashedCross):
    """By the values alone."""

    def transform(self, col_selector: Any, df: Any) -> Any:
        names = tuple(col_selector.names)
        count = self.num_buckets[names] if isinstance(self.num_buckets, dict) else self.num_buckets
        combined = np.bitwise_xor.reduce([hashes(_single(df[name])) for name in names])
        return frame_of(df, {"_X_".join(names): _modulo(combined, count)})


def _single(column: Any) -> Any:
    return numbers(column) if column.dtype.kind == "f" else keys(column)


def _modulo(hashed: Any, count: int) -> Any:
    return (hashed % np.uint64(count)).astype(np.int64)
