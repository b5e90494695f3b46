"""Faults of an HTTP request; see `tests.fuzz.bad_calls`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tests.fuzz.call import Call, Post, post, to_head, to_post

Random = np.random.Generator
Kind = Callable[[Random, Call], Post]

HEADER_LENGTH = "Inference-Header-Content-Length"

_ODD = (None, True, -1, 0, 1.5, 2**63, 2**64, "", "x", "\0", [], [[]], {}, {"a": 1}, [None])


def wrong_header_length(rng: Random, good: Call) -> Post:
    valid = to_post(good)
    right = int(valid.headers[HEADER_LENGTH])
    wrong = ["-1", "0", "1", "x", "", "0x10", str(2**64), str(right - 1), str(right + 1), "9" * 30]
    return replace(valid, headers={HEADER_LENGTH: _one(rng, wrong)})


def no_header_length(rng: Random, good: Call) -> Post:
    return replace(to_post(good), headers={})


def broken_json(rng: Random, good: Call) -> Post:
    head = json.dumps(to_head(good)).encode()
    broken = [
        *(b"", b"{", b"[]", b"null", b"7", b"{}", b'{"inputs":[]}', b'{"inputs":[{}]}'),
        *(b'{"inputs":null}', b'{"inputs":[7]}', b'{"a":NaN}', b"\xff\xfe", b'"' * 7),
        *(head[: int(rng.integers(0, len(head)))], head + b"}", head[1:], rng.bytes(200)),
        b'{"inputs":' + b"[" * 10_000,
    ]
    return post(good.path, _one(rng, broken), _tensors_of(good))


def wrong_binary_size(rng: Random, good: Call) -> Post:
    head = to_head(good)
    declared = _one(rng, head["inputs"])["parameters"]
    right = declared["binary_data_size"]
    sizes = [-1, 0, 1, right - 1, right + 1, 2**31, 2**63 - 1, 2**64 - 1, 2**64, str(right), None]
    declared["binary_data_size"] = _one(rng, [size for size in sizes if size != right])
    return post(good.path, json.dumps(head).encode(), _tensors_of(good))


def data_in_json_and_binary(rng: Random, good: Call) -> Post:
    head = to_head(good)
    _one(rng, head["inputs"])["data"] = _one(rng, [[], [1.0], ["x"]])
    return post(good.path, json.dumps(head).encode(), _tensors_of(good))


def data_in_json_that_does_not_fit(rng: Random, good: Call) -> Post:
    """One tensor's values are in the JSON header: too few, or of the wrong type."""
    head = to_head(good)
    index = int(rng.integers(0, len(good.inputs)))
    values = [[], {}, None, "x", [[1], 2], [{}], [None], [1e400], [True, "x"], [[[[]]]]]
    head["inputs"][index]["data"] = _one(rng, values)
    del head["inputs"][index]["parameters"]
    kept = [tensor.data for number, tensor in enumerate(good.inputs) if number != index]
    return post(good.path, json.dumps(head).encode(), b"".join(kept))


def truncated_body(rng: Random, good: Call) -> Post:
    valid = to_post(good)
    return replace(valid, body=valid.body[: int(rng.integers(0, len(valid.body)))])


def surplus_body(rng: Random, good: Call) -> Post:
    valid = to_post(good)
    return replace(valid, body=valid.body + rng.bytes(int(rng.integers(1, 2000))))


def random_body(rng: Random, good: Call) -> Post:
    body = rng.bytes(int(rng.integers(0, 3000)))
    length = str(int(rng.integers(0, len(body) + 1)))
    return Post(good.path, _one(rng, [{}, {HEADER_LENGTH: length}]), body)


def wrong_encoding(rng: Random, good: Call) -> Post:
    valid = to_post(good)
    encoding = _one(rng, ["gzip", "deflate", "br", "x"])
    return replace(valid, headers={**valid.headers, "Content-Encoding": encoding})


def wrong_path(rng: Random, good: Call) -> Post:
    paths = ["", "/", "/v2", "/v2/models//infer", "/v2/models/%00/infer", "/v3/models/ctr/infer"]
    paths += [
        good.path + "s",
        good.path.replace("/infer", "/versions//infer"),
        "/v2/models/../infer",
    ]
    paths += [good.path.replace("/infer", "/generate"), "/" + "a" * 3000, "/v2/models/ctr/infer/x"]
    return replace(to_post(good), path="/" + _one(rng, paths).lstrip("/"))


def odd_value_in_json(rng: Random, good: Call) -> Post:
    """A random value of the JSON header is replaced."""
    head = to_head(replace(good, outputs=_one(rng, [(), (_output(good),)])))
    holder, key = _one(rng, list(_slots(head)))
    holder[key] = _one(rng, _ODD)
    return post(good.path, json.dumps(head).encode(), _tensors_of(good))


def odd_byte_in_json(rng: Random, good: Call) -> Post:
    """A random byte of the JSON header is replaced."""
    head = bytearray(json.dumps(to_head(good)).encode())
    head[int(rng.integers(0, len(head)))] = int(rng.integers(0, 256))
    return post(good.path, bytes(head), _tensors_of(good))


def output_twice(rng: Random, good: Call) -> Post:
    return to_post(replace(good, outputs=2 * (_output(good),)))


KINDS: Mapping[str, Kind] = {
    kind.__name__: kind
    for kind in (
        *(wrong_header_length, no_header_length, broken_json, wrong_binary_size),
        *(data_in_json_and_binary, data_in_json_that_does_not_fit, truncated_body, surplus_body),
        *(random_body, wrong_encoding, wrong_path, odd_value_in_json, odd_byte_in_json),
        output_twice,
    )
}

HARMLESS = frozenset({"odd_value_in_json", "odd_byte_in_json", "output_twice"})


def _output(good: Call) -> str:
    return "dense" if good.model == "ctr_features" else "click_probability"


def _tensors_of(good: Call) -> bytes:
    return b"".join(tensor.data for tensor in good.inputs)


def _slots(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every object or array in a JSON value, with each of its keys."""
    keys = list(value) if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _slots(value[key])


def _one(rng: Random, values: Any) -> Any:
    return values[int(rng.integers(0, len(values)))]
