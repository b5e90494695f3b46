"""Raw columns side by side, as the native encoder takes them.

A request has tensors of numbers, tensors of integers, and columns of text; `places` say where in
them each raw column stands. Columns of lists have no place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast, get_args

import numpy as np
from numpy.typing import NDArray

from plumbline.columns.kinds import FeatureKind
from plumbline.columns.values import Text
from plumbline.columns.wire import (
    CATEGORICAL_BYTES,
    CATEGORICAL_INT64,
    CONTINUOUS,
    Tensors,
    WireColumns,
)
from plumbline.features.plan.chains import Columns

Tensor: TypeAlias = Literal["numbers", "integers", "texts"]

Place: TypeAlias = tuple[Tensor, int, int]
"""Where a raw column stands in a request: sort of tensor, which of them, which column of it."""

_TENSORS: Mapping[FeatureKind, Tensor] = {
    "continuous": "numbers",
    "integer": "integers",
    "boolean": "integers",
    "hex": "integers",
    "string": "texts",
}


@dataclass(frozen=True, slots=True)
class Request:
    """Raw columns of B rows: float32 (B, n), int64 (B, n), strided as they like, and text."""

    numbers: Sequence[NDArray[np.float32]]
    integers: Sequence[NDArray[np.int64]]
    texts: Sequence[Text]


def places_of_columns(kinds: Mapping[str, FeatureKind]) -> dict[str, Place]:
    """The places where `of_columns` puts each column: a tensor of its own."""
    return {
        name: (tensor, number, 0)
        for tensor in get_args(Tensor)
        for number, name in enumerate(_named(kinds, tensor))
    }


def of_columns(columns: Columns, kinds: Mapping[str, FeatureKind]) -> Request:
    """The request of a chunk of rows."""
    return Request(
        [_matrix(columns[name]) for name in _named(kinds, "numbers")],
        [_matrix(columns[name]) for name in _named(kinds, "integers")],
        [cast(Text, columns[name]) for name in _named(kinds, "texts")],
    )


def places_on_wire(columns: WireColumns) -> dict[str, Place]:
    """The places where `of_tensors` puts each column."""
    places: dict[str, Place] = {}
    places |= {name: ("numbers", 0, place) for place, name in enumerate(columns.continuous)}
    places |= {name: ("integers", 0, place) for place, name in enumerate(columns.integer)}
    places |= {name: ("texts", place, 0) for place, name in enumerate(columns.string)}
    return places


def of_tensors(tensors: Tensors) -> Request:
    """The request of checked wire tensors; raises TypeError for text that is not bytes."""
    words_BF = tensors.get(CATEGORICAL_BYTES)
    return Request(
        [cast("NDArray[np.float32]", tensors[CONTINUOUS])] if CONTINUOUS in tensors else [],
        [cast("NDArray[np.int64]", tensors[CATEGORICAL_INT64])]
        if CATEGORICAL_INT64 in tensors
        else [],
        [] if words_BF is None else [Text.from_objects(words_B) for words_B in words_BF.T],
    )


def _named(kinds: Mapping[str, FeatureKind], tensor: Tensor) -> list[str]:
    return [name for name, kind in kinds.items() if _TENSORS.get(kind) == tensor]


def _matrix(values: Any) -> NDArray[Any]:
    return cast("NDArray[Any]", values)[:, np.newaxis]
