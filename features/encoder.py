"""Encode raw columns by fitted chains: the one code that the batch engine and the server run.

Legend: B rows, F columns of ids, C columns of numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from features.chains import Chain, Columns, Runner
from features.native_lane import NativeLane
from features.plan import OutputColumn
from features.requests import Place, Request
from features.tables import Tables
from features.values import Lists


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
        self._lane = NativeLane(outputs, chains, tables, places)
        self._ids: list[_Job] = []
        self._bags: list[_Job] = []
        self._dense: list[_Job] = []
        for output, chain, taken in zip(outputs, chains, self._lane.takes, strict=True):
            jobs = self._bags if output.is_list else self._dense
            jobs = self._ids if output.dtype == "int64" else jobs
            jobs.append(None if taken else Runner(chain, tables))
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
        ids_BF = np.empty((rows, len(self._ids)), ids_dtype, order="F")
        dense_BC = np.empty((rows, len(self._dense)), np.float32, order="F")
        self._lane.run(request, ids_BF, dense_BC)
        with np.errstate(over="ignore"):  # beyond float32 is infinite
            for jobs, out in ((self._ids, ids_BF), (self._dense, dense_BC)):
                for place, run in enumerate(jobs):
                    if run is not None:
                        out[:, place] = run(columns)
        return Encoded(ids_BF, tuple(run(columns) for run in self._bags if run), dense_BC)


_Job: TypeAlias = Runner | None
"""None where the native lane does it."""
