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
from plumbline.features.encoding.native_encoder import NativeEncoder
from plumbline.features.encoding.requests import Place, Request
from plumbline.features.lookup.tables import Tables
from plumbline.features.plan.chains import Chain, Columns, Runner
from plumbline.features.plan.plan import Dtype, OutputColumn


@dataclass(frozen=True, slots=True)
class Encoded:
    """Encoded rows, all in plan order.

    ids_BF: int64 (or int32, where it was asked for); bags: the columns with a list of ids a row;
    dense_BC: float32.
    """

    ids_BF: NDArray[Any]
    bags: tuple[Lists, ...]
    dense_BC: NDArray[np.float32]


class Encoder:
    """Runs an output's chain for every output; safe to share between threads.

    Parameters
    ----------
    outputs
        What comes out, in order.
    chains
        How: `output.chain` for each, or what training rows have instead.
    tables
        The plan's look-up files, which the encoder loads.
    places
        Where each raw column stands in the requests of `encode`, of those columns that its native
        part may take.
    """

    def __init__(
        self,
        outputs: Sequence[OutputColumn],
        chains: Sequence[Chain],
        tables: Tables,
        places: Mapping[str, Place],
    ) -> None:
        self._lane = NativeEncoder(outputs, chains, tables, places)
        jobs: dict[Dtype, list[Runner | None]] = {"int64": [], "float32": [], "list<int64>": []}
        for output, chain, taken in zip(outputs, chains, self._lane.takes, strict=True):
            jobs[output.dtype].append(None if taken else Runner(chain, tables))
        self._widths = len(jobs["int64"]), len(jobs["float32"])
        self._ids, self._dense = _general(jobs["int64"]), _general(jobs["float32"])
        self._bags = [run for _, run in _general(jobs["list<int64>"])]
        general = [c for c, taken in zip(chains, self._lane.takes, strict=True) if not taken]
        self.reads = frozenset(column for chain in general for column in chain.columns)
        """The raw columns that `encode` looks up by name."""

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
        self._lane.run(request, ids_BF, dense_BC)
        for place, run in self._ids:
            ids_BF[:, place] = run(columns)
        if self._dense:
            with np.errstate(over="ignore"):  # beyond float32 is infinite
                for place, run in self._dense:
                    dense_BC[:, place] = run(columns)
        return Encoded(ids_BF, tuple([run(columns) for run in self._bags]), dense_BC)


def _general(jobs: Sequence[Runner | None]) -> list[tuple[int, Runner]]:
    """Those that the native lane leaves, with their columns' places."""
    return [(place, run) for place, run in enumerate(jobs) if run is not None]
