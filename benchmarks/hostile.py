"""Requests that nobody should send: to a gateway, drawn from a seed."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from plumbline.serving.gateway.arrow_rows import MEDIA_TYPE

Row = Mapping[str, Any]

_SCORE = b"POST /v1/score HTTP/1.1\r\nHost: a\r\n"
_ODD_VALUES = (
    None, True, 10**400, -(2**63), 2**64, 1e308, float("inf"), float("nan"), "", "x" * 100_000,
    "\ud800", "\0", [], [[]], {}, {"a": [1]}, [None] * 10_000, "ÿ", "' OR 1=1 --", "../../etc",
)  # fmt: skip


def hostile_request(row: Row, draw: random.Random, headers: Mapping[str, str]) -> bytes:
    """The bytes of one connection. `row` is one that the model accepts."""
    kind = draw.choice((_odd_value, _odd_json, _mutated, _odd_head, _odd_arrow, _huge_shape))
    added = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
    return kind(row, draw).replace(b"Host: a\r\n", b"Host: a\r\n" + added, 1)


def send_and_leave(address: tuple[str, int], content: bytes, seconds: float) -> bytes:
    """Send the bytes, and return what comes back until the connection ends or the time is over."""
    received = b""
    try:
        with socket.create_connection(address, timeout=seconds) as connection:
            connection.sendall(content)
            while len(received) < 65_536 and (chunk := connection.recv(65_536)):
                received += chunk
    except OSError:
        pass
    return received


def post(body: bytes, content_type: str = "application/json", extra: bytes = b"") -> bytes:
    head = f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n".encode()
    return _SCORE + head + extra + b"Connection: close\r\n\r\n" + body


def _body(rows: Any) -> bytes:
    return json.dumps({"rows": rows}).encode("utf-8", "surrogatepass")


def _odd_value(row: Row, draw: random.Random) -> bytes:
    changed = {**row, draw.choice(list(row)): draw.choice(_ODD_VALUES)}
    return post(_body([changed]))


def _odd_json(row: Row, draw: random.Random) -> bytes:
    return post(
        draw.choice(
            (
                b"",
                b"[" * 500_000,
                b'{"rows":' * 50_000,
                b'{"rows": [' + b"{}," * 100_000 + b"{}]}",
                b'{"rows": ' + b"9" * 1_000_000 + b"}",
                _body([row] * 20_000),
                _body(row),
                _body([[row]]),
                _body([{}]),
                json.dumps({"inputs": [{"name": "continuous", "shape": [10**12, 13]}]}).encode(),
                b"\xff" * 1000,
                b'{"rows": [{"\\ud800": 1}]}',
            )
        )
    )


def _mutated(row: Row, draw: random.Random) -> bytes:
    """A valid request with a few bytes changed, anywhere."""
    content = bytearray(post(_body([row])))
    for _ in range(draw.randint(1, 8)):
        content[draw.randrange(len(content))] = draw.randrange(256)
    return bytes(content)


def _odd_head(row: Row, draw: random.Random) -> bytes:
    body = _body([row])
    return draw.choice(
        (
            _SCORE + b"Content-Length: 1000000000000\r\nConnection: close\r\n\r\n" + body,
            _SCORE + b"Content-Length: -5\r\n\r\n" + body,
            _SCORE + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\n{\r\n" * 20_000 + b"zz\r\n",
            _SCORE + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"GET /v1/score/../../../etc/passwd HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            b"DELETE /v1/score HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 50_000 + b"\r\n",
            b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
            post(body, extra=b"Content-Encoding: gzip\r\n"),
            post(body, "multipart/form-data"),
            post(body, extra=b"Authorization: Bearer " + b"x" * 5000 + b"\r\n"),
            b"\x16\x03\x01" + bytes(draw.randrange(256) for _ in range(300)),
            bytes(draw.randrange(256) for _ in range(500)),
        )
    )


def _odd_arrow(row: Row, draw: random.Random) -> bytes:
    table = draw.choice(_TABLES)(row)
    sink = pa.BufferOutputStream()
    compression = draw.choice((None, None, "zstd", "lz4"))
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, table.schema, options=options) as stream:
        stream.write_table(table)
    content = bytearray(bytes(sink.getvalue()))
    for _ in range(draw.randint(0, 6)):
        content[draw.randrange(len(content))] = draw.randrange(256)
    return post(bytes(content), MEDIA_TYPE)


def _of_nulls(row: Row) -> pa.Table:
    return pa.table({name: pa.nulls(10**9) for name in row})


def _of_one_long_text(row: Row) -> pa.Table:
    indices = pa.array([0] * 10_000, pa.int32())
    column = pa.DictionaryArray.from_arrays(indices, ["x" * 1_000_000])
    return pa.table(dict.fromkeys(row, column))


def _of_a_list_of_nulls(row: Row) -> pa.Table:
    column = pa.ListArray.from_arrays([0, 2**31 - 1], pa.nulls(2**31 - 1))
    return pa.table(dict.fromkeys(row, column))


def _of_the_row(row: Row) -> pa.Table:
    return pa.Table.from_pylist([dict(row)])


_TABLES: tuple[Callable[[Row], pa.Table], ...] = (
    _of_the_row, _of_the_row, _of_nulls, _of_one_long_text, _of_a_list_of_nulls,
)  # fmt: skip


def _huge_shape(row: Row, draw: random.Random) -> bytes:
    """What ends a Triton of release 24.10, sent to a gateway."""
    rows = draw.choice((10**12, 2**62, 2**32, 10**9))
    inputs = [{"name": "continuous", "shape": [rows, 13], "datatype": "FP32", "data": [1]}]
    body = json.dumps({"inputs": inputs}).encode()
    path = draw.choice(("/v1/score", "/v2/models/ctr_fused/infer", "/v2/models/ctr/infer"))
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n".encode()
    return head + b"Content-Type: application/json\r\nConnection: close\r\n\r\n" + body
