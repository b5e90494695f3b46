"""Bytes that are not a valid request; see `tests.fuzz.bad_calls`."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tests.fuzz.call import Post

Random = np.random.Generator
Kind = Callable[[Random, Post], bytes]

HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def request_bytes(
    wanted: Post, *lines: str, verb: str = "POST", body: bytes | None = None
) -> bytes:
    """The bytes of the request with further header lines, which must give the body's length."""
    headers = [f"{name}: {value}" for name, value in wanted.headers.items()]
    head = "\r\n".join([f"{verb} {wanted.path} HTTP/1.1", "Host: x", *headers, *lines])
    return head.encode() + b"\r\n\r\n" + (wanted.body if body is None else body)


def random_bytes(rng: Random, good: Post) -> bytes:
    return rng.bytes(int(rng.integers(1, 3000)))


def one_byte_many_times(rng: Random, good: Post) -> bytes:
    return rng.bytes(1) * int(rng.integers(1, 100_000))


def tls_hello(rng: Random, good: Post) -> bytes:
    sent = ssl.MemoryBIO()
    context = ssl.create_default_context()
    try:
        context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname="localhost").do_handshake()
    except ssl.SSLWantReadError:
        return sent.read()
    raise AssertionError("a handshake without an answer")


def http2_garbage(rng: Random, good: Post) -> bytes:
    """Frames of any type and length after a valid preface."""
    frames = [
        int(rng.integers(0, 2**24)).to_bytes(3, "big") + rng.bytes(6 + int(rng.integers(0, 99))),
        b"\0\0\0\4\0\0\0\0\0" + rng.bytes(int(rng.integers(0, 99))),
        b"\0\0\x09\1\5\0\0\0\1" + rng.bytes(9),
    ]
    return HTTP2_PREFACE + b"".join(_one(rng, frames) for _ in range(int(rng.integers(0, 4))))


def torn_request(rng: Random, good: Post) -> bytes:
    """A valid request, cut off."""
    whole = request_bytes(good, f"Content-Length: {len(good.body)}")
    return whole[: int(rng.integers(1, len(whole)))]


def wrong_content_length(rng: Random, good: Post) -> bytes:
    size = len(good.body)
    less = int(rng.integers(0, size))
    wrong = [
        -5,
        "x",
        "",
        size + 1,
        2**31,
        2**63 - 1,
        2**64,
        "9" * 40,
        less,
        f"{less}\r\nContent-Length: 7",
    ]
    return request_bytes(good, f"Content-Length: {_one(rng, wrong)}")


def bad_chunks(rng: Random, good: Post) -> bytes:
    chunks = [
        b"x\r\n",
        b"-1\r\nab\r\n",
        b"f" * 30 + b"\r\nab\r\n",
        b"3\r\nab\r\n",
        b"1\r\nabcdef\r\n",
    ]
    body = b"1\r\na\r\n" * int(rng.integers(0, 50)) + _one(rng, chunks) + b"0\r\n\r\n"
    lines = ["Transfer-Encoding: chunked", *_one(rng, [[], ["Content-Length: 5"]])]
    return request_bytes(good, *lines, body=body)


def wrong_verb(rng: Random, good: Post) -> bytes:
    verb = _one(rng, ["GET", "PUT", "HEAD", "DELETE", "OPTIONS", "BREW", "post", "PRI"])
    return request_bytes(good, f"Content-Length: {len(good.body)}", verb=verb)


def odd_header(rng: Random, good: Post) -> bytes:
    lines = ["no colon", "A: " + "x" * 100_000, "Host : \0", ": x"]
    body = b"" if rng.random() < 0.5 else good.body[:-1]
    return request_bytes(good, _one(rng, lines), "Content-Length: 7", body=body)


KINDS: Mapping[str, Kind] = {
    kind.__name__: kind
    for kind in (
        *(random_bytes, one_byte_many_times, tls_hello, http2_garbage, torn_request),
        *(wrong_content_length, bad_chunks, wrong_verb, odd_header),
    )
}


def _one(rng: Random, values: Any) -> Any:
    return values[int(rng.integers(0, len(values)))]
