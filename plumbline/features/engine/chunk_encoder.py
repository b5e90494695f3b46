"""Encodes chunks of typed rows to tables of the encoded files' schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from plumbline.columns.kinds import FeatureKind
from plumbline.columns.rows import Chunk
from plumbline.features.encoding.encoder import Encoder
from plumbline.features.encoding.request import positions_of_columns, request_of_columns
from plumbline.features.engine.encoded import encoded_columns, encoded_schema, fits_int32
from plumbline.features.fitting.fit import training_columns, training_kinds
from plumbline.features.lookup.tables import Tables
from plumbline.features.plan.plan import OutputColumn
from plumbline.features.steps.chains import Chain


class ChunkEncoder:
    """Encodes chunks of a split; safe to share between threads.

    Parameters
    ----------
    outputs, chains, tables
        See `plumbline.features.encoding.encoder.Encoder`.
    kinds
        The kinds of the raw columns.
    is_training
        Whether the rows are those that the plan was fitted on.
    """

    def __init__(
        self,
        outputs: Sequence[OutputColumn],
        chains: Sequence[Chain],
        tables: Tables,
        kinds: Mapping[str, FeatureKind],
        is_training: bool,
    ) -> None:
        positions = positions_of_columns(kinds)
        self._encoder = Encoder(outputs, chains, tables, training_kinds(kinds), positions)
        self._kinds = kinds
        self._is_training = is_training
        self._schema = encoded_schema(outputs)
        narrow = all(fits_int32(column) for column in outputs if column.is_categorical)
        self._ids_dtype = np.int32 if narrow else np.int64

    def encode(self, chunk: Chunk, number: int) -> pa.Table:
        """Read and encode the split's chunk of this number, from 0."""
        rows = chunk()
        columns = training_columns(rows, number) if self._is_training else rows.columns
        request = request_of_columns(rows.columns, self._kinds)
        encoded = self._encoder.encode(request, columns, len(rows), self._ids_dtype)
        of_plan = encoded_columns(encoded, self._schema.types[:-1])
        return pa.table([*of_plan, pa.array(rows.click)], schema=self._schema)
