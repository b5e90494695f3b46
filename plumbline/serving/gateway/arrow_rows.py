"""Rows as an Arrow IPC stream of the raw columns, from anybody.

A few bytes of Arrow can stand for a table of any size: compressed buffers, runs, views, texts of
dictionaries, lists of nulls. So only plain forms are accepted, their size as rows is limited, and
what is read is validated before it is used.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import flatbuffers.encode
import flatbuffers.number_types
import flatbuffers.packer
import flatbuffers.table
import pyarrow as pa
import pyarrow.compute as pc

from plumbline.serving.gateway.errors import Refused
from plumbline.serving.gateway.json_rows import require_rows

MEDIA_TYPE = "application/vnd.apache.arrow.stream"

_COMPRESSION = 10
"""Offset of the field `compression` in the vtable of a RecordBatch (its fourth field)."""
_BATCH_OF_DICTIONARY = 6
_HEADER_TYPE, _HEADER = 6, 8
_DICTIONARY, _RECORDS = 2, 3
"""Kinds of a message's header, in Arrow's Message.fbs."""
_TEXTS = (
    pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary,
)  # fmt: skip
_PLAIN = (
    pa.types.is_null, pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating,
    pa.types.is_decimal, pa.types.is_temporal, *_TEXTS,
)  # fmt: skip
_LARGER = 4
"""The values of a column may become so many times the largest body."""


def table_of_arrow(body: bytes, most_rows: int, most_bytes: int) -> pa.Table:
    """The table in a body. Its columns' names and kinds are not looked at here.

    Raises
    ------
    Refused
        The body is not an Arrow IPC stream, is damaged, has no rows or too many, or a form of Arrow
        that is not accepted.
    """
    try:
        _require_plain_messages(body)
        with pa.ipc.open_stream(body) as stream:
            for field in stream.schema:
                _require_plain_type(field.name, field.type)
            batches = list(_bounded(stream, most_rows))
            table = pa.Table.from_batches(batches, stream.schema)
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError, TypeError, struct.error) as error:
        reason = " ".join(str(error).split())
        raise Refused(400, f"Body: wanted an Arrow IPC stream, but {reason:.200}") from None
    require_rows(table.num_rows, most_rows)
    for name, column in zip(table.column_names, table.columns, strict=True):
        _require_small_values(name, column, _LARGER * most_bytes)
    return table


def _bounded(stream: Any, most_rows: int) -> Iterator[pa.RecordBatch]:
    rows = 0
    for batch in stream:
        rows += batch.num_rows
        if rows > most_rows:
            require_rows(rows, most_rows)
        yield batch


def _require_plain_messages(body: bytes) -> None:
    """Refuse compressed buffers, which would be decompressed before anything can be checked."""
    for message in pa.ipc.MessageReader.open_stream(body):
        metadata = message.metadata.to_pybytes()
        root = flatbuffers.encode.Get(flatbuffers.packer.uoffset, metadata, 0)
        if _is_compressed(flatbuffers.table.Table(metadata, root)):
            raise Refused(415, "Body: wanted an Arrow stream without compression.")


def _is_compressed(message: Any) -> bool:
    number = flatbuffers.number_types
    kind_at, header_at = message.Offset(_HEADER_TYPE), message.Offset(_HEADER)
    if not kind_at or not header_at:
        return False
    kind = message.Get(number.Uint8Flags, message.Pos + kind_at)
    header = _child(message, header_at)
    if kind == _DICTIONARY:
        batch_at = header.Offset(_BATCH_OF_DICTIONARY)
        return bool(batch_at) and bool(_child(header, batch_at).Offset(_COMPRESSION))
    return kind == _RECORDS and bool(header.Offset(_COMPRESSION))


def _child(table: Any, offset: int) -> Any:
    return flatbuffers.table.Table(table.Bytes, table.Indirect(table.Pos + offset))


def _require_plain_type(name: str, type_: pa.DataType) -> None:
    inner = type_
    if pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_dictionary(type_):
        inner = type_.value_type
    if not _is_plain(inner):
        raise Refused(
            400,
            f"Column {name[:100]!r}: wanted numbers, text, booleans, times or lists of them, got "
            f"Arrow's {str(type_)[:100]}.",
        )


@lru_cache
def _is_plain(type_: pa.DataType) -> bool:
    return any(is_plain(type_) for is_plain in _PLAIN)


def _require_small_values(name: str, column: pa.ChunkedArray, most: int) -> None:
    """Refuse a column whose values take more than `most` bytes when each row has its own."""
    if sum(map(_bytes_as_rows, column.chunks)) > most:
        raise Refused(413, f"Column {name[:100]!r}: its values take too much memory as rows.")


def _bytes_as_rows(chunk: pa.Array) -> int:
    """A bound on the bytes of a list's nulls, or of a dictionary's texts; 0 for other columns."""
    if pa.types.is_list(chunk.type) or pa.types.is_large_list(chunk.type):
        return len(chunk.flatten())
    if not pa.types.is_dictionary(chunk.type):
        return 0
    values = chunk.dictionary
    if not any(is_text(values.type) for is_text in _TEXTS):
        return 8 * len(chunk)
    longest = pc.max(pc.binary_length(values.cast(pa.large_binary()))).as_py()
    return (longest or 0) * len(chunk)
