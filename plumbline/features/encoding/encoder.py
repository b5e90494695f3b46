"""Encode raw columns by fitted chains: the one code that the batch engine and the server run.

Legend: B rows, F columns of ids, C columns of numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline.columns.values import Lists
from plumbline.features.encoding.native_encoder import NativeEncoder, Request
from plumbline.features.lookup.tables import Tables
from plumbline.features.plan.plan import Dtype, OutputColumn
from plumbline.features.steps.chains import Chain, Columns, Runner
from plumbline.features.steps.native_form import Position


@dataclass(frozen=True, slots=True)
class Encoded:
    """Encoded rows, all in plan order.

    ids_BF: int64 or int32; bags: the columns with a list of ids a row; dense_BC: float32.
    """

    ids_BF: NDArray[Any]
    bags: tuple[Lists, ...]
    dense_BC: NDArray[np.float32]


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
        self._native = NativeEncoder(outputs, chains, tables, positions)
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


def _general(jobs: Sequence[Runner | None]) -> list[tuple[int, Runner]]:
    """Those that the native encoder does not take, with the index of their column."""
    return [(index, run) for index, run in enumerate(jobs) if run is not None]
