"""Raw columns of some rows as tensors, as the native encoder reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast, get_args

import numpy as np
from numpy.typing import NDArray

from plumbline.columns.kinds import FeatureKind
from plumbline.columns.values import Text
from plumbline.features.steps.chains import Columns
from plumbline.features.steps.native_nodes import Position, Tensor

_TENSORS: Mapping[FeatureKind, Tensor] = {
    "continuous": "numbers",
    "integer": "integers",
    "boolean": "integers",
    "hex": "integers",
    "string": "texts",
    "time": "integers",
}


@dataclass(frozen=True, slots=True)
class Request:
    """Raw columns of B rows: float32 (B, n) and int64 (B, n) tensors of any strides, and text.

    `doubles`, float64 (B, n), are of numbers that were computed. A `Position` locates a column.
    Columns of lists are not part of a request.
    """

    numbers: Sequence[NDArray[np.float32]]
    integers: Sequence[NDArray[np.int64]]
    texts: Sequence[Text]
    doubles: Sequence[NDArray[np.float64]] = ()


def positions_of_columns(kinds: Mapping[str, FeatureKind]) -> dict[str, Position]:
    """The positions of the columns in a `request_of_columns`, where each is a tensor."""
    return {
        name: (tensor, index, 0)
        for tensor in get_args(Tensor)
        for index, name in enumerate(_columns_of(kinds, tensor))
    }


def request_of_columns(columns: Columns, kinds: Mapping[str, FeatureKind]) -> Request:
    """The request for a chunk of rows."""
    return Request(
        [as_tensor(columns[name]) for name in _columns_of(kinds, "numbers")],
        [as_tensor(columns[name]) for name in _columns_of(kinds, "integers")],
        [cast(Text, columns[name]) for name in _columns_of(kinds, "texts")],
    )


def as_tensor(values: Any) -> NDArray[Any]:
    """A column as a tensor of its own, (B, 1)."""
    return cast("NDArray[Any]", values)[:, np.newaxis]


def _columns_of(kinds: Mapping[str, FeatureKind], tensor: Tensor) -> list[str]:
    return [name for name, kind in kinds.items() if _TENSORS.get(kind) == tensor]
