"""Encode raw columns by fitted chains: the one code that the batch engine and the server run.

One native call encodes the outputs that it can: look-ups, hashes and chains of numbers. The others,
and all of them if there is no native module, are encoded step by step, with the same result.

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
}


@dataclass(frozen=True, slots=True)
class Encoded:
    """Encoded rows, all in plan order.

    ids_BF: int64 or int32; bags: the columns with a list of ids a row; dense_BC: float32.
    """

    ids_BF: NDArray[Any]
    bags: tuple[Lists, ...]
    dense_BC: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Request:
    """Raw columns of B rows: float32 (B, n), int64 (B, n), of any strides, and text.

    A position says where in them a raw column is; columns of lists have none.
    """

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


class Encoder:
    """Encodes every output of a plan; safe to share between threads.

    Parameters
    ----------
    outputs
        The columns that are encoded, in order.
    chains
        `output.chain` for each, or what training rows have instead.
    tables
        The plan's look-up files, which the encoder loads.
    positions
        The position of each raw column in the requests of `encode`; lists have none.
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
        for output, chain, taken in zip(outputs, chains, self._native.takes, strict=True):
            jobs[output.dtype].append(None if taken else Runner(chain, tables))
        self._widths = len(jobs["int64"]), len(jobs["float32"])
        self._ids, self._dense = _general(jobs["int64"]), _general(jobs["float32"])
        self._bags = [run for _, run in _general(jobs["list<int64>"])]
        general = [c for c, taken in zip(chains, self._native.takes, strict=True) if not taken]
        self.reads = frozenset(column for chain in general for column in chain.columns)
        """The raw columns that `encode` needs by name."""

    def encode(
        self,
        request: Request,
        columns: Columns,
        rows: int,
        ids_dtype: type[np.signedinteger[Any]] = np.int64,
    ) -> Encoded:
        """Encode `rows` rows, given in both forms; each column of the result is contiguous."""
        ids_width, dense_width = self._widths
        ids_BF = np.empty((rows, ids_width), ids_dtype, order="F")
        dense_BC = np.empty((rows, dense_width), np.float32, order="F")
        self._native.run(request, ids_BF, dense_BC)
        for index, run in self._ids:
            ids_BF[:, index] = run(columns)
        if self._dense:
            with np.errstate(over="ignore"):  # beyond float32 is infinite
                for index, run in self._dense:
                    dense_BC[:, index] = run(columns)
        return Encoded(ids_BF, tuple([run(columns) for run in self._bags]), dense_BC)


class _NativeEncoder:
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


def _general(jobs: Sequence[Runner | None]) -> list[tuple[int, Runner]]:
    """Those that the native encoder does not take, with the index of their column."""
    return [(index, run) for index, run in enumerate(jobs) if run is not None]


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
