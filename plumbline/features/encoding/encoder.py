"""Encode raw columns by fitted chains: the one code that the batch engine and the server run.

One native call encodes look-ups, hashes and chains of numbers. All other outputs are encoded step
by step. Without the native module every output is, with the same result.

Legend: B rows, F columns of ids, C columns of numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast, get_args

import numpy as np
from numpy.typing import NDArray

from plumbline.base.native import native, uses_native
from plumbline.columns.kinds import FeatureKind
from plumbline.columns.values import Lists, Text
from plumbline.features.lookup.tables import Tables
from plumbline.features.plan.plan import Dtype, OutputColumn
from plumbline.features.steps.chains import Chain, Columns, Runner
from plumbline.features.steps.native_column import NativeColumn, Operation, Position, Tensor
from plumbline.features.steps.step import IdStep, Step

_TENSORS: Mapping[FeatureKind, Tensor] = {
    "continuous": "numbers",
    "integer": "integers",
    "boolean": "integers",
    "hex": "integers",
    "string": "texts",
    "time": "integers",
}


@dataclass(frozen=True, slots=True)
class Encoded:
    """Encoded rows; each field has its columns in plan order.

    ids_BF: int64 or int32; bags: the columns with a list of ids per row; dense_BC: float32.
    """

    ids_BF: NDArray[Any]
    bags: tuple[Lists, ...]
    dense_BC: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Request:
    """Raw columns of B rows: float32 (B, n) and int64 (B, n) tensors of any strides, and text.

    A `Position` locates a raw column in it. Columns of lists are not part of a request.
    """

    numbers: Sequence[NDArray[np.float32]]
    integers: Sequence[NDArray[np.int64]]
    texts: Sequence[Text]


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
        [_matrix(columns[name]) for name in _columns_of(kinds, "numbers")],
        [_matrix(columns[name]) for name in _columns_of(kinds, "integers")],
        [cast(Text, columns[name]) for name in _columns_of(kinds, "texts")],
    )


class Encoder:
    """Encodes every output of a plan; safe to share between threads.

    Parameters
    ----------
    outputs
        The columns to encode, in order.
    chains
        The chain of each: `output.chain`, or its replacement for training rows.
    tables
        The plan's look-up files; the encoder loads them.
    positions
        The position of each raw column in the requests passed to `encode`, except lists.
    """

    def __init__(
        self,
        outputs: Sequence[OutputColumn],
        chains: Sequence[Chain],
        tables: Tables,
        positions: Mapping[str, Position],
    ) -> None:
        self._native = _NativeEncoder(outputs, chains, tables, positions)
        jobs: dict[Dtype, list[Runner | None]] = {"int64": [], "float32": [], "list<int64>": []}
        for output, chain, is_native in zip(outputs, chains, self._native.handled, strict=True):
            jobs[output.dtype].append(None if is_native else Runner(chain, tables))
        self._widths = len(jobs["int64"]), len(jobs["float32"])
        self._ids, self._dense = _step_by_step(jobs["int64"]), _step_by_step(jobs["float32"])
        self._bags = [run for _, run in _step_by_step(jobs["list<int64>"])]
        handled = zip(chains, self._native.handled, strict=True)
        by_step = [chain for chain, is_native in handled if not is_native]
        self.reads = frozenset(column for chain in by_step for column in chain.columns)
        """The raw columns that `encode` needs by name."""

    def encode(
        self,
        request: Request,
        columns: Columns,
        rows: int,
        ids_dtype: type[np.signedinteger[Any]] = np.int64,
    ) -> Encoded:
        """Encode `rows` rows, passed as a request and by name; result columns are contiguous."""
        ids_width, dense_width = self._widths
        ids_BF = np.empty((rows, ids_width), ids_dtype, order="F")
        dense_BC = np.empty((rows, dense_width), np.float32, order="F")
        self._native.run(request, ids_BF, dense_BC)
        for index, run in self._ids:
            ids_BF[:, index] = run(columns)
        if self._dense:
            with np.errstate(over="ignore"):  # overflow gives infinity
                for index, run in self._dense:
                    dense_BC[:, index] = run(columns)
        return Encoded(ids_BF, tuple([run(columns) for run in self._bags]), dense_BC)


class _NativeEncoder:
    """Encodes the outputs that native code supports."""

    def __init__(
        self,
        outputs: Sequence[OutputColumn],
        chains: Sequence[Chain],
        tables: Tables,
        positions: Mapping[str, Position],
    ) -> None:
        self._encoder: Any = native.Encoder() if uses_native() else None
        self._positions = positions
        handled = []
        ids = numbers = 0
        for output, chain in zip(outputs, chains, strict=True):
            if output.dtype == "int64":
                handled.append(self._add_ids(chain, tables, ids))
                ids += 1
            elif output.dtype == "float32":
                handled.append(self._add_numbers(chain, numbers))
                numbers += 1
            else:
                handled.append(False)
        self.handled = tuple(handled)
        """For each output, whether it is encoded here."""
        self._handles_any = any(handled)

    def run(self, request: Request, ids_BF: NDArray[Any], dense_BC: NDArray[np.float32]) -> None:
        """Fill the columns of the outputs that are encoded here, and no others."""
        if self._handles_any:
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
        """The position of the chain's only raw column; None if it is not encoded here."""
        (source, *others) = chain.sources
        if self._encoder is None or others or not isinstance(source, str):
            return None
        return self._positions.get(source)


def _step_by_step(jobs: Sequence[Runner | None]) -> list[tuple[int, Runner]]:
    """The outputs that are encoded step by step, with the index of their column."""
    return [(index, run) for index, run in enumerate(jobs) if run is not None]


def _operations(steps: Sequence[Step]) -> list[Operation] | None:
    """The native operations of the steps; None if a step has none."""
    operations = []
    for step in steps:
        operands = step.operands()
        if operands is None:
            return None
        operations.append((step.op, operands))
    return operations


def _columns_of(kinds: Mapping[str, FeatureKind], tensor: Tensor) -> list[str]:
    return [name for name, kind in kinds.items() if _TENSORS.get(kind) == tensor]


def _matrix(values: Any) -> NDArray[Any]:
    return cast("NDArray[Any]", values)[:, np.newaxis]
