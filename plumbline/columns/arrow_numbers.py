"""Arrow numbers as NumPy arrays, without pandas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def arrow_numbers(array: pa.Array) -> NDArray[Any]:
    """A read-only view of an Arrow array of integers or floats, none of them missing; (B,).

    pyarrow's `to_numpy` imports pandas if it is installed, which costs every process of a server
    half a second and 40 MB.

    >>> arrow_numbers(pa.array([1.5, 2.5, 3.5], pa.float32())[1:])
    array([2.5, 3.5], dtype=float32)
    """
    if array.null_count:
        raise ValueError(f"wanted no missing values, got {array.null_count}")
    kind = "f" if pa.types.is_floating(array.type) else "i"
    dtype = np.dtype(f"{kind}{array.type.bit_width // 8}")
    if not len(array):
        return np.empty(0, dtype)
    return np.frombuffer(array.buffers()[1], dtype, len(array), array.offset * dtype.itemsize)
