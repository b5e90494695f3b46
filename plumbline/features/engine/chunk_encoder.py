"""Encodes chunks of typed rows to tables of the encoded files' schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from plumbline.columns.kinds import FeatureKind
from plumbline.columns.rows import Chunk
from plumbline.features.encoding.encoder import Encoded, Encoder
from plumbline.features.encoding.request import positions_of_columns, request_of_columns
from plumbline.features.engine.encoded import encoded_schema, fits_int32
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
        return _table(encoded, rows.click, self._schema)


def _table(encoded: Encoded, click_B: NDArray[np.int8], schema: pa.Schema) -> pa.Table:
    """Encoded rows as a table of the files' schema."""
    ids, bags, dense = iter(encoded.ids_BF.T), iter(encoded.bags), iter(encoded.dense_BC.T)
    columns = []
    for type_ in schema.types[:-1]:
        if pa.types.is_large_list(type_):
            bag = next(bags)
            values = pa.array(np.asarray(bag.values), type_.value_type)
            columns.append(pa.LargeListArray.from_arrays(pa.array(bag.offsets), values))
        else:
            values_B = next(ids if pa.types.is_integer(type_) else dense)
            columns.append(pa.array(values_B.astype(type_.to_pandas_dtype(), copy=False)))
    return pa.table([*columns, pa.array(click_B)], schema=schema)
