"""Encode raw columns by fitted chains: the one code that the batch engine and the server run.

One native call encodes the outputs whose steps have a native form. All other outputs are encoded
step by step. Without the native module every output is, with the same result.

Legend: B rows, F columns of ids, C columns of numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline.base.native import uses_native
from plumbline.columns.kinds import FeatureKind
from plumbline.columns.values import Lists
from plumbline.features.encoding.native_part import NativePart
from plumbline.features.encoding.request import Request
from plumbline.features.lookup.tables import Tables
from plumbline.features.plan.plan import Dtype, OutputColumn
from plumbline.features.steps.chains import Chain, Columns, Runner
from plumbline.features.steps.native_nodes import Position


@dataclass(frozen=True, slots=True)
class Encoded:
    """Encoded rows; each field has its columns in plan order.

    ids_BF: int64 or int32; bags: the columns with a list of ids per row; dense_BC: float32.
    """

    ids_BF: NDArray[Any]
    bags: tuple[Lists, ...]
    dense_BC: NDArray[np.float32]


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
    kinds
        The kind of each raw column that the chains read.
    positions
        The position of each raw column in the requests passed to `encode`, except lists.
    """

    def __init__(
        self,
        outputs: Sequence[OutputColumn],
        chains: Sequence[Chain],
        tables: Tables,
        kinds: Mapping[str, FeatureKind],
        positions: Mapping[str, Position],
    ) -> None:
        native = NativePart(outputs, chains, tables, kinds, positions) if uses_native() else None
        handled = native.handled if native else (False,) * len(outputs)
        jobs: dict[Dtype, list[Runner | None]] = {"int64": [], "float32": [], "list<int64>": []}
        for output, chain, is_native in zip(outputs, chains, handled, strict=True):
            jobs[output.dtype].append(None if is_native else Runner(chain, tables))
        self._native = native
        self._widths = len(jobs["int64"]), len(jobs["float32"])
        self._ids, self._dense = _step_by_step(jobs["int64"]), _step_by_step(jobs["float32"])
        self._bags = [run for _, run in _step_by_step(jobs["list<int64>"])]
        by_step = [c for c, is_native in zip(chains, handled, strict=True) if not is_native]
        of_native = native.reads if native else frozenset()
        self.reads = of_native.union(*(chain.columns for chain in by_step))
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
        if self._native is not None and self._native.handles_any:
            self._native.run(request, columns, ids_BF, dense_BC)
        for index, run in self._ids:
            ids_BF[:, index] = run(columns)
        if self._dense:
            with np.errstate(over="ignore"):  # overflow gives infinity
                for index, run in self._dense:
                    dense_BC[:, index] = run(columns)
        return Encoded(ids_BF, tuple([run(columns) for run in self._bags]), dense_BC)


def _step_by_step(jobs: Sequence[Runner | None]) -> list[tuple[int, Runner]]:
    """The outputs that are encoded step by step, with the index of their column."""
    return [(index, run) for index, run in enumerate(jobs) if run is not None]
