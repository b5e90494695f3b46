"""Encode raw columns by fitted chains: the one code that the batch engine and the server run.

Legend: B rows, F columns of ids, C columns of numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.chains import Chain, Columns, Runner
from features.plan import OutputColumn
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
    """

    def __init__(
        self, outputs: Sequence[OutputColumn], chains: Sequence[Chain], tables: Tables
    ) -> None:
        runners = [
            (output, Runner(chain, tables)) for output, chain in zip(outputs, chains, strict=True)
        ]
        self._ids = [run for output, run in runners if output.dtype == "int64"]
        self._bags = [run for output, run in runners if output.is_list]
        self._dense = [run for output, run in runners if output.dtype == "float32"]

    def encode(
        self, columns: Columns, rows: int, ids_dtype: type[np.signedinteger[Any]] = np.int64
    ) -> Encoded:
        """Encode `rows` rows of raw columns; each column of the result is contiguous."""
        ids_BF = np.empty((rows, len(self._ids)), ids_dtype, order="F")
        for place, run in enumerate(self._ids):
            ids_BF[:, place] = run(columns)
        dense_BC = np.empty((rows, len(self._dense)), np.float32, order="F")
        with np.errstate(over="ignore"):  # beyond float32 is infinite
            for place, run in enumerate(self._dense):
                dense_BC[:, place] = run(columns)
        return Encoded(ids_BF, tuple(run(columns) for run in self._bags), dense_BC)
