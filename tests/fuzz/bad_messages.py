"""Faults of a gRPC request; see `tests.fuzz.bad_calls`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tests.fuzz.call import Call, to_message

Random = np.random.Generator
Kind = Callable[[Random, Call], bytes]


def too_few_raw_contents(rng: Random, good: Call) -> bytes:
    message = to_message(good)
    del message.raw_input_contents[int(rng.integers(0, len(good.inputs))) :]
    return _bytes(message)


def too_many_raw_contents(rng: Random, good: Call) -> bytes:
    message = to_message(good)
    message.raw_input_contents.append(rng.bytes(int(rng.integers(0, 50))))
    return _bytes(message)


def raw_contents_in_another_order(rng: Random, good: Call) -> bytes:
    message = to_message(good)
    contents = list(message.raw_input_contents)
    del message.raw_input_contents[:]
    message.raw_input_contents.extend([*contents[1:], contents[0]])
    return _bytes(message)


def both_contents(rng: Random, good: Call) -> bytes:
    message = to_message(good)
    _add(_one(rng, message.inputs).contents, _one(rng, list(_VALUES)), 3)
    return _bytes(message)


def typed_contents_that_do_not_fit(rng: Random, good: Call) -> bytes:
    """Typed contents of a random type and length in each tensor."""
    message = to_message(good)
    del message.raw_input_contents[:]
    for tensor in message.inputs:
        _add(tensor.contents, _one(rng, list(_VALUES)), int(rng.integers(0, 9)))
    return _bytes(message)


def truncated_message(rng: Random, good: Call) -> bytes:
    whole = _bytes(to_message(good))
    return whole[: int(rng.integers(0, len(whole)))]


def random_message(rng: Random, good: Call) -> bytes:
    return rng.bytes(int(rng.integers(0, 1000)))


def odd_type_of_parameter(rng: Random, good: Call) -> bytes:
    """A parameter without a value, or with one of a type that HTTP does not have."""
    message = to_message(good)
    holder = _one(rng, [message, message.inputs[0], message.outputs.add(name=_output(good))])
    names = ["priority", "timeout", "sequence_id", "sequence_end", "binary_data_size", "other"]
    chosen = holder.parameters[_one(rng, names)]
    field = _one(rng, ["", "double_param", "uint64_param", "bool_param"])
    if field:
        setattr(chosen, field, _one(rng, [0, 1]))
    else:
        chosen.SetInParent()
    return _bytes(message)


def shared_memory_output(rng: Random, good: Call) -> bytes:
    message = to_message(good)
    output = message.outputs.add(name=_output(good))
    output.parameters["shared_memory_region"].string_param = _one(rng, ["other", "", "/dev/shm"])
    if rng.random() < 0.7:
        output.parameters["shared_memory_byte_size"].int64_param = _one(rng, [-1, 0, 4, 2**40])
    return _bytes(message)


def unknown_field(rng: Random, good: Call) -> bytes:
    """Protobuf ignores unknown fields."""
    return _bytes(to_message(good)) + b"\xfa\x3f\x03abc"


KINDS: Mapping[str, Kind] = {
    kind.__name__: kind
    for kind in (
        *(too_few_raw_contents, too_many_raw_contents, raw_contents_in_another_order),
        *(both_contents, typed_contents_that_do_not_fit, truncated_message, random_message),
        *(odd_type_of_parameter, shared_memory_output, unknown_field),
    )
}

HARMLESS = frozenset({"too_many_raw_contents", "odd_type_of_parameter", "unknown_field"})

_VALUES: Mapping[str, Any] = {
    "fp32_contents": 1.0,
    "fp64_contents": 1.0,
    "int_contents": 1,
    "int64_contents": 1,
    "uint64_contents": 1,
    "bool_contents": True,
    "bytes_contents": b"x",
}


def _add(contents: Any, field: str, count: int) -> None:
    getattr(contents, field).extend([_VALUES[field]] * count)


def _output(good: Call) -> str:
    return "dense" if good.model == "ctr_features" else "click_probability"


def _bytes(message: Any) -> bytes:
    return bytes(message.SerializeToString())


def _one(rng: Random, values: Any) -> Any:
    return values[int(rng.integers(0, len(values)))]
