"""The plan's online executor: arrays in, arrays out, one request at a time."""

from __future__ import annotations

from plumbline.base.errors import PlanError
from plumbline.columns.wire import (
    CATEGORICAL_BYTES,
    Tensors,
    WireColumns,
    check_tensors,
    from_tensors,
)
from plumbline.features.encoding.encoder import Encoded, Encoder
from plumbline.features.encoding.native_encoder import positions_on_wire, request_of_tensors
from plumbline.features.plan.plan import Plan


class OnlineExecutor:
    """Runs a fitted plan on wire tensors (see `plumbline.columns.wire`); safe to share between
    threads.

    Raises
    ------
    PlanError
        A file of the plan is missing, or was changed.
    """

    def __init__(self, plan: Plan) -> None:
        self.columns = WireColumns.of(plan.kinds)
        chains = [column.chain for column in plan.outputs]
        positions = positions_on_wire(self.columns)
        self._encoder = Encoder(plan.outputs, chains, plan.tables(), positions)

    def transform(self, tensors: Tensors) -> Encoded:
        """Encode raw rows.

        Raises
        ------
        PlanError
            A tensor is missing, unexpected, or has the wrong width or dtype; or bytes that are no
            list.
        """
        rows = check_tensors(tensors, self.columns)
        # Those that the native encoder takes are not needed by name.
        reads = self._encoder.reads
        columns = from_tensors(tensors, self.columns, reads) if reads else {}
        try:
            request = request_of_tensors(tensors)
        except TypeError as error:
            raise PlanError.wrong_type(CATEGORICAL_BYTES, "bytes", str(error)) from None
        return self._encoder.encode(request, columns, rows)
