"""Rows in Arrow from anybody: plain tables are read, bombs and damage are refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from plumbline.serving.gateway.arrow_rows import table_of_arrow
from plumbline.serving.gateway.errors import Refused

MOST_ROWS = 1000
MOST_BYTES = 2**20

PLAIN = pa.table(
    {
        "number": [1.5, None],
        "integer": pa.array([1, None], pa.uint64()),
        "text": ["a", "ü"],
        "packed": pa.array(["a", "a"]).dictionary_encode(),
        "list": [["a", None], None],
        "numbers": pa.array([[1], []], pa.large_list(pa.int64())),
        "time": pa.array([0, 1], pa.timestamp("us")),
        "nothing": pa.nulls(2),
        "empty": [[], None],
    }
)


def stream_of(table: pa.Table, compression: str | None = None) -> bytes:
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, table.schema, options=options) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue())


def read(body: bytes) -> pa.Table:
    return table_of_arrow(body, MOST_ROWS, MOST_BYTES)


def test_a_plain_table_is_read() -> None:
    assert read(stream_of(PLAIN)).equals(PLAIN)


def many_nulls() -> pa.Table:
    return pa.table({"a": pa.nulls(MOST_ROWS + 1)})


def runs() -> pa.Table:
    ends = pa.array([MOST_ROWS], pa.int32())
    return pa.table({"a": pa.RunEndEncodedArray.from_arrays(ends, pa.array([1]))})


def list_of_nulls() -> pa.Table:
    return pa.table({"a": pa.ListArray.from_arrays([0, 2**31 - 1], pa.nulls(2**31 - 1))})


def long_dictionary() -> pa.Table:
    indices = pa.array(np.zeros(MOST_ROWS, np.int32))
    return pa.table({"a": pa.DictionaryArray.from_arrays(indices, ["x" * 100_000])})


def views() -> pa.Table:
    return pa.table({"a": pa.array(["x" * 100] * 3, pa.string_view())})


def structs() -> pa.Table:
    return pa.table({"a": [{"b": 1}]})


def deep_lists() -> pa.Table:
    return pa.table({"a": [[["x"]]]})


@pytest.mark.parametrize(
    ("table", "status", "reason"),
    [
        (many_nulls, 413, "at most 1,000"),
        (runs, 400, "run_end_encoded"),
        (list_of_nulls, 413, "too much memory"),
        (long_dictionary, 413, "too much memory"),
        (views, 400, "string_view"),
        (structs, 400, "struct"),
        (deep_lists, 400, "list<item: list"),
        (lambda: PLAIN.slice(0, 0), 400, "at least one"),
    ],
)
def test_a_table_of_another_form_is_refused(
    table: Callable[[], pa.Table], status: int, reason: str
) -> None:
    with pytest.raises(Refused, match=reason) as refused:
        read(stream_of(table()))
    assert refused.value.status == status


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_a_compressed_stream_is_refused(compression: str) -> None:
    bomb = pa.table({"a": np.zeros(MOST_ROWS)})
    with pytest.raises(Refused, match="without compression"):
        read(stream_of(bomb, compression))
    packed = pa.table({"a": pa.array(["x" * 1000] * 9).dictionary_encode()})
    with pytest.raises(Refused, match="without compression"):
        read(stream_of(packed, compression))


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"\xff" * 1000, b"\x00" * 1000, stream_of(PLAIN)[:200]]
)
def test_other_bytes_are_refused(body: bytes) -> None:
    with pytest.raises(Refused):
        read(body)


_KINDS = {
    "number": "continuous", "integer": "integer", "text": "string", "packed": "string",
    "list": "string_list", "numbers": "integer_list", "time": "time", "nothing": "hex",
    "empty": "hex_list",
}  # fmt: skip
_DAMAGE = """
import random, sys
sys.path.insert(0, ".")
from plumbline.base.errors import PlumblineError
from plumbline.columns.value_rules.rules import ValueRules
from plumbline.columns.wire import WireColumns, to_tensors
from plumbline.serving.client.tables import to_table
from tests.serving.gateway.test_arrow_rows import _KINDS, PLAIN, read, stream_of
columns = WireColumns.of(_KINDS)
body = stream_of(PLAIN)
draw = random.Random(int(sys.argv[1]))
for _ in range(2000):
    changed = bytearray(body)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(changed))
        changed[at] = draw.choice((0, 1, 127, 128, 255, changed[at] ^ 1 << draw.randrange(8)))
    try:
        to_tensors(to_table(read(bytes(changed)), columns.names), columns, ValueRules())
    except PlumblineError:
        pass
"""


def test_damaged_bytes_end_in_a_table_or_a_refusal() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _DAMAGE, "7"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
