"""The online executor of a plan: encodes the arrays of one request at a time."""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray

from plumbline.base.errors import PlanError
from plumbline.columns.values import Text
from plumbline.columns.wire import (
    CATEGORICAL_BYTES,
    CATEGORICAL_INT64,
    CONTINUOUS,
    Tensors,
    WireColumns,
    check_tensors,
    from_tensors,
)
from plumbline.features.encoding.encoder import Encoded, Encoder
from plumbline.features.encoding.request import Request
from plumbline.features.plan.plan import Plan
from plumbline.features.steps.native_nodes import Position


class OnlineExecutor:
    """Runs a fitted plan on wire tensors (see `plumbline.columns.wire`); safe to share between
    threads.

    Raises
    ------
    PlanError
        A file of the plan is missing or was changed.
    """

    def __init__(self, plan: Plan) -> None:
        self.columns = WireColumns.of(plan.kinds)
        chains = [column.chain for column in plan.outputs]
        positions = _positions(self.columns)
        self._encoder = Encoder(plan.outputs, chains, plan.tables(), plan.kinds, positions)

    def transform(self, tensors: Tensors) -> Encoded:
        """Encode raw rows.

        Raises
        ------
        PlanError
            A tensor is missing, unexpected, or has the wrong width or dtype, or a list's bytes are
            malformed.
        """
        rows = check_tensors(tensors, self.columns)
        # The columns that native code reads are not needed by name.
        reads = self._encoder.reads
        columns = from_tensors(tensors, self.columns, reads) if reads else {}
        try:
            request = _request(tensors)
        except TypeError as error:
            raise PlanError.wrong_type(CATEGORICAL_BYTES, "bytes", str(error)) from None
        return self._encoder.encode(request, columns, rows)


def _positions(columns: WireColumns) -> dict[str, Position]:
    """The position of each column in a `_request`."""
    positions: dict[str, Position] = {}
    positions |= {name: ("numbers", 0, index) for index, name in enumerate(columns.continuous)}
    positions |= {name: ("integers", 0, index) for index, name in enumerate(columns.integer)}
    positions |= {name: ("texts", index, 0) for index, name in enumerate(columns.string)}
    return positions


def _request(tensors: Tensors) -> Request:
    """The request of checked wire tensors; raises TypeError for text that is not bytes."""
    words_BF = tensors.get(CATEGORICAL_BYTES)
    return Request(
        [cast("NDArray[np.float32]", tensors[CONTINUOUS])] if CONTINUOUS in tensors else [],
        [cast("NDArray[np.int64]", tensors[CATEGORICAL_INT64])]
        if CATEGORICAL_INT64 in tensors
        else [],
        [] if words_BF is None else [Text.from_objects(words_B) for words_B in words_BF.T],
    )
