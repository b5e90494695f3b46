"""The outputs of a plan that one native call encodes: look-ups, hashes, and chains of numbers.

A request has tensors of numbers, tensors of integers, and columns of text; a position says where in
them a raw column is, and columns of lists have none. The outputs that are left, and all of them
where there is no native module, are encoded step by step by `plumbline.features.encoding.encoder`,
with the same result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast, get_args

import numpy as np
from numpy.typing import NDArray

from plumbline.base.native import native, uses_native
from plumbline.columns.kinds import FeatureKind
from plumbline.columns.values import Text
from plumbline.columns.wire import (
    CATEGORICAL_BYTES,
    CATEGORICAL_INT64,
    CONTINUOUS,
    Tensors,
    WireColumns,
)
from plumbline.features.lookup.tables import Tables
from plumbline.features.plan.plan import OutputColumn
from plumbline.features.steps.chains import Chain, Columns
from plumbline.features.steps.native_form import NativeColumn, Operation, Position, Tensor
from plumbline.features.steps.step import IdStep, Step

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


def positions_of_columns(kinds: Mapping[str, FeatureKind]) -> dict[str, Position]:
    """The positions of the columns in `request_of_columns`: each has a tensor of its own."""
    return {
        name: (tensor, number, 0)
        for tensor in get_args(Tensor)
        for number, name in enumerate(_named(kinds, tensor))
    }


def request_of_columns(columns: Columns, kinds: Mapping[str, FeatureKind]) -> Request:
    """The request of a chunk of rows."""
    return Request(
        [_matrix(columns[name]) for name in _named(kinds, "numbers")],
        [_matrix(columns[name]) for name in _named(kinds, "integers")],
        [cast(Text, columns[name]) for name in _named(kinds, "texts")],
    )


def positions_on_wire(columns: WireColumns) -> dict[str, Position]:
    """The positions of the columns in `request_of_tensors`."""
    positions: dict[str, Position] = {}
    positions |= {name: ("numbers", 0, index) for index, name in enumerate(columns.continuous)}
    positions |= {name: ("integers", 0, index) for index, name in enumerate(columns.integer)}
    positions |= {name: ("texts", index, 0) for index, name in enumerate(columns.string)}
    return positions


def request_of_tensors(tensors: Tensors) -> Request:
    """The request of checked wire tensors; raises TypeError for text that is not bytes."""
    words_BF = tensors.get(CATEGORICAL_BYTES)
    return Request(
        [cast("NDArray[np.float32]", tensors[CONTINUOUS])] if CONTINUOUS in tensors else [],
        [cast("NDArray[np.int64]", tensors[CATEGORICAL_INT64])]
        if CATEGORICAL_INT64 in tensors
        else [],
        [] if words_BF is None else [Text.from_objects(words_B) for words_B in words_BF.T],
    )


class NativeEncoder:
    """Encodes those of the outputs that it can, from requests whose columns are at `positions`."""

    def __init__(
        self,
        outputs: Sequence[OutputColumn],
        chains: Sequence[Chain],
        tables: Tables,
        positions: Mapping[str, Position],
    ) -> None:
        self._encoder: Any = native.Encoder() if uses_native() else None
        self._positions = positions
        taken = []
        ids = numbers = 0
        for output, chain in zip(outputs, chains, strict=True):
            if output.dtype == "int64":
                taken.append(self._add_ids(chain, tables, ids))
                ids += 1
            elif output.dtype == "float32":
                taken.append(self._add_numbers(chain, numbers))
                numbers += 1
            else:
                taken.append(False)
        self.takes = tuple(taken)
        """Of each output, whether it is encoded here."""
        self._takes_any = any(taken)

    def run(self, request: Request, ids_BF: NDArray[Any], dense_BC: NDArray[np.float32]) -> None:
        """Fill the columns of the outputs that are encoded here; the others are left alone."""
        if self._takes_any:
            texts = [(text.offsets, text.data) for text in request.texts]
            self._encoder.run(request.numbers, request.integers, texts, ids_BF, dense_BC)

    def _add_numbers(self, chain: Chain, output: int) -> bool:
        position, operations = self._position(chain), _operations(chain.fitted)
        if position is None or operations is None:
            return False
        self._encoder.add_chain(position, operations, output)
        return True

    def _add_ids(self, chain: Chain, tables: Tables, output: int) -> bool:
        *before, last = chain.fitted
        position, operations = self._position(chain), _operations(before)
        if position is None or operations is None or not isinstance(last, IdStep):
            return False
        return last.add_to(NativeColumn(self._encoder, position, operations, output), tables)

    def _position(self, chain: Chain) -> Position | None:
        """That of the chain's one raw column; None where it has others, or there is no encoder."""
        (source, *others) = chain.sources
        if self._encoder is None or others or not isinstance(source, str):
            return None
        return self._positions.get(source)


def _operations(steps: Sequence[Step]) -> list[Operation] | None:
    """The native operations of the steps; None where a step has none."""
    operations = []
    for step in steps:
        operands = step.operands()
        if operands is None:
            return None
        operations.append((step.op, operands))
    return operations


def _named(kinds: Mapping[str, FeatureKind], tensor: Tensor) -> list[str]:
    return [name for name, kind in kinds.items() if _TENSORS.get(kind) == tensor]


def _matrix(values: Any) -> NDArray[Any]:
    return cast("NDArray[Any]", values)[:, np.newaxis]
