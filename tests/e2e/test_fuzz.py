"""A real server under bad requests: each gets an error, and right ones in between right answers.

`FUZZ_SEED` in the environment draws the same cases again; a failure names its seed and number.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from plumbline.columns.list_bytes import unpack_integers
from plumbline.columns.wire import Tensors
from plumbline.serving.launch.server import TritonServer
from tests.fuzz import bad_bytes, bad_calls, bad_messages, bad_posts
from tests.fuzz.call import Call, call, text_bytes, to_message, to_post
from tests.fuzz.connection import GrpcConnection, HttpConnection
from tests.fuzz.line import KNOWN, Line, make_line
from tests.fuzz.pool import MODELS
from tests.fuzz.verdict import TOLERANCE, Connection, fault_of, is_right, send, send_right

SEED = int(os.environ.get("FUZZ_SEED") or (5 if os.environ.get("CI") else secrets.randbits(32)))
PROTOCOLS = ("http", "grpc")
WORKERS = 3
BAD_OF_A_WORKER = 1750
BYTES_OF_A_PORT = 150
SECONDS_OF_A_REQUEST = 30.0


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Line:
    return make_line(tmp_path_factory.mktemp("line"))


@pytest.fixture(scope="module")
def server(line: Line, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    with TritonServer(line.repository, tmp_path_factory.mktemp("server")) as running:
        yield running


def test_odd_values_have_their_ids(line: Line) -> None:
    """The expected answers are right: the executor's ids equal those of a dictionary."""
    encoded = line.pool.answers["ctr_features"]
    single = [name for name in KNOWN if name not in ("visited", "tags")]
    by_hand = line.ids_by_hand()
    assert encoded["ids"].T.tolist() == [by_hand[name] for name in single]
    for place, name in enumerate(("visited", "tags")):
        lists = unpack_integers(name, encoded["list_ids"][:, place])
        bounds = lists.offsets.tolist()
        found = [lists.values[a:b].tolist() for a, b in pairwise(bounds)]
        assert found == by_hand[name]
    assert np.isfinite(line.pool.answers["ctr"]["click_probability"]).all()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_bad_requests_between_good_ones(line: Line, server: TritonServer, protocol: str) -> None:
    with ThreadPoolExecutor(WORKERS) as pool:
        done = list(pool.map(lambda worker: _work(line, server, protocol, worker), range(WORKERS)))
    faults = [fault for _, found in done for fault in found]
    assert not faults, "\n".join([f"{len(faults)} faults with FUZZ_SEED={SEED}:", *faults[:9]])
    sent = Counter(kind for kinds, _ in done for kind in kinds)
    assert sent.total() == WORKERS * BAD_OF_A_WORKER
    assert min(sent.values()) > 20, sent


@pytest.mark.parametrize("port", ["http", "grpc", "metrics"])
def test_bytes_that_are_not_a_request(line: Line, server: TritonServer, port: str) -> None:
    """A connection is closed when its other side is, if not at once; some stay half-open."""
    address = ("127.0.0.1", int(getattr(server.ports, port)))
    with ExitStack() as open_until_the_end:
        right = [open_until_the_end.enter_context(closing(_connect(server, p))) for p in PROTOCOLS]
        for number in range(BYTES_OF_A_PORT):
            rng = np.random.default_rng([SEED, number])
            kind = str(rng.choice(list(bad_bytes.KINDS)))
            sent = bad_bytes.KINDS[kind](rng, to_post(_good(line, rng)[0]))
            reproduce = f"FUZZ_SEED={SEED}, {port} {number} {kind}: {sent!r:.2000}"
            if number % 5 == 0:
                connection = socket.create_connection(address, SECONDS_OF_A_REQUEST)
                open_until_the_end.enter_context(closing(connection))
                with suppress(OSError):
                    connection.sendall(sent)
            else:
                is_answered = _answer_to_bytes(address, sent).startswith(b"HTTP/1.1 200")
                assert not is_answered or (port, kind) == ("metrics", "wrong_verb"), reproduce
            good, answer = _good(line, rng)
            for protocol, connection in zip(PROTOCOLS, right, strict=True):
                assert is_right(send(connection, _rendered(protocol, good)), answer), reproduce


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("model", ["ctr_features", "ctr_fused"])
def test_huge_values_are_unseen_values(
    line: Line, server: TritonServer, protocol: str, model: str
) -> None:
    """A megabyte of text, a list of a megabyte, and a list of many: what a small one would get."""
    small = {name: tensor[:4].copy() for name, tensor in line.raw.items()}
    small["categorical_bytes"][:, 0] = b"unseen"
    small["list_bytes"][:, 0] = [b"", *map(text_bytes, ([b"unseen"], [b"unseen"] * 9000, [b"new"]))]
    huge = {name: tensor.copy() for name, tensor in small.items()}
    huge["categorical_bytes"][:, 0] = [b"\0" * 2**20, b"\xff" * 2**20, b"north" * 2**18, b"unseen"]
    huge["list_bytes"][1, 0] = text_bytes([b"\xfe" * 2**20])
    huge["list_bytes"][2, 0] = text_bytes([b"\xc3\0" * 60] * 9000)
    with closing(_connect(server, protocol)) as connection:
        right = send(connection, _rendered(protocol, call(model, small)))
        received = send(connection, _rendered(protocol, call(model, huge)))
    assert right.is_good, right
    assert is_right(received, right.tensors), received


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_request_of_64_megabytes(line: Line, server: TritonServer, protocol: str) -> None:
    good, right = _good(line, np.random.default_rng(1))
    *others, last = good.inputs
    large = replace(good, inputs=(*others, replace(last, data=last.data + bytes(2**26))))
    with closing(_connect(server, protocol)) as connection:
        received = send(connection, _rendered(protocol, large))
        assert last.name in received.message
        assert is_right(send(connection, _rendered(protocol, good)), right)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("rows", [0, 2**32])
def test_no_rows_declared_but_one_sent(
    line: Line, server: TritonServer, protocol: str, model: str, rows: int
) -> None:
    """Triton counts rows modulo 2³² and accepts it; the models reject it.

    Only an ensemble turns it into one row and scores that; its answer has no dimension for rows.
    """
    asked, right = line.pool.take(model, np.array([5]))
    declared = bad_calls.with_rows(call(model, asked), rows)
    with closing(_connect(server, protocol)) as connection:
        received = send(connection, _rendered(protocol, declared))
    if model == "ctr":
        (score,) = received.tensors["click_probability"]
        assert score == pytest.approx(right["click_probability"][0, 0], abs=TOLERANCE)
    else:
        assert re.search(
            r"wants (bytes of )?shape \(rows, 2\), got .*shape \(2,\)", received.message
        )


def test_clients_that_do_not_wait(line: Line, server: TritonServer) -> None:
    """A connection that is reset at once after a right request; over HTTP alone.

    A Triton 2.51 may die of a gRPC call that is cancelled: see docs/triton_faults.md.
    """
    with closing(HttpConnection(server.http_url, SECONDS_OF_A_REQUEST)) as right_ones:
        for number in range(100):
            good, right = _good(line, np.random.default_rng([SEED, number]))
            post = to_post(good)
            with socket.create_connection(("127.0.0.1", server.ports.http)) as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                length = f"Content-Length: {len(post.body)}"
                connection.sendall(bad_bytes.request_bytes(post, length))
            assert is_right(send(right_ones, post), right)


@pytest.mark.parametrize("form", ["many chunks", "deep JSON"])
def test_requests_that_would_overflow_a_stack(line: Line, server: TritonServer, form: str) -> None:
    """Either ends a Triton 2.51 with stacks of 8 MiB: see
    `plumbline.serving.launch.with_parent`."""
    good, right = _good(line, np.random.default_rng(1))
    post = to_post(good)
    if form == "many chunks":
        chunks = b"1\r\n[\r\n" * 1_000_000 + b"0\r\n\r\n"
        sent = bad_bytes.request_bytes(post, "Transfer-Encoding: chunked", body=chunks)
    else:
        deep = replace(post, headers={"Content-Length": "1000000"})
        sent = bad_bytes.request_bytes(deep, body=b"[" * 1_000_000)
    address = ("127.0.0.1", server.ports.http)
    assert b"failed to parse the request JSON" in _answer_to_bytes(address, sent)
    with closing(_connect(server, "http")) as connection:
        assert is_right(send(connection, post), right)


def _work(
    line: Line, server: TritonServer, protocol: str, worker: int
) -> tuple[list[str], list[str]]:
    """Returns the kinds of bad requests that were sent, and the faults that were found."""
    sent, faults = [], []
    kinds = _kinds(protocol)
    with closing(_connect(server, protocol)) as connection:
        for number in range(BAD_OF_A_WORKER):
            rng = np.random.default_rng([SEED, worker, number])
            kind = str(rng.choice(list(kinds)))
            good, right = _good(line, rng)
            bad = kinds[kind](rng, good)
            received = send(connection, bad)
            fault = fault_of(kind, received, right if kind in _HARMLESS else None)
            if fault:
                faults.append(
                    f"{protocol} {worker}/{number} {kind}: {fault}: {received} {bad!r:.2000}"
                )
            sent.append(kind)
            if number % 3 == 0:
                good, right = _good(line, rng)
                received = send_right(connection, _rendered(protocol, good))
                if not is_right(received, right):
                    faults.append(
                        f"{protocol} {worker}/{number} right, after {kind}: {received} {right}"
                    )
    return sent, faults


def _answer_to_bytes(address: tuple[str, int], sent: bytes) -> bytes:
    """The bytes until the server closes the connection; raises TimeoutError if it does not."""
    received = bytearray()
    with socket.create_connection(address, SECONDS_OF_A_REQUEST) as connection:
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65536):
                received += piece
        except (ConnectionError, OSError) as error:
            if isinstance(error, TimeoutError):
                raise
    return bytes(received)


_RESET = struct.pack("ii", 1, 0)
"""Linger for 0 seconds: closing resets the connection."""

_HARMLESS = bad_calls.HARMLESS | bad_posts.HARMLESS | bad_messages.HARMLESS


def _kinds(protocol: str) -> dict[str, Callable[[np.random.Generator, Call], Any]]:
    """The kinds of bad requests: functions that change a good one."""
    own = bad_posts.KINDS if protocol == "http" else bad_messages.KINDS
    both = {
        name: lambda rng, good, kind=kind: _rendered(protocol, kind(rng, good))
        for name, kind in bad_calls.KINDS.items()
    }
    return {**both, **own}


def _connect(server: TritonServer, protocol: str) -> Connection:
    if protocol == "http":
        return HttpConnection(server.http_url, SECONDS_OF_A_REQUEST)
    return GrpcConnection(server.grpc_url, SECONDS_OF_A_REQUEST)


def _rendered(protocol: str, wanted: Call) -> Any:
    return to_post(wanted) if protocol == "http" else to_message(wanted).SerializeToString()


def _good(line: Line, rng: np.random.Generator) -> tuple[Call, Tensors]:
    """A good request of a few rows to one of the models, and its answer."""
    model = MODELS[int(rng.integers(0, len(MODELS)))]
    rows = rng.integers(0, len(line.raw["continuous"]), int(rng.integers(4, 9)))
    asked, right = line.pool.take(model, rows)
    return call(model, asked), right
