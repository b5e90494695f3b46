"""Faults of a request in either protocol.

Each kind makes a bad request from a good one. Those in `HARMLESS` may get the answer to the good
one; all others must get an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from plumbline.serving.contract.interface import DLRM_MODEL
from tests.fuzz.call import Call, Input, text_bytes

Random = np.random.Generator
Kind = Callable[[Random, Call], Call]

DATATYPES = (
    *("BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64"),
    *("FP16", "FP32", "FP64", "BF16", "BYTES", "", "int64", "TYPE_FP32", "\0", "FP32 "),
)
SIZES = (-(2**63), -(2**32), -1, 0, 1, 7, 2**31, 2**32, 2**40, 2**62, 2**63 - 1)


def wrong_dtype(rng: Random, good: Call) -> Call:
    index = _pick_input(rng, good)
    others = [other for other in DATATYPES if other != good.inputs[index].datatype]
    return _with(good, index, datatype=str(rng.choice(others)))


def wrong_width(rng: Random, good: Call) -> Call:
    index = _pick_input(rng, good)
    rows, width = good.inputs[index].shape
    widths = [size for size in (*SIZES, width - 1, width + 1, 2**32 + width) if size != width]
    return _with(good, index, shape=(rows, _one(rng, widths)))


def wrong_rank(rng: Random, good: Call) -> Call:
    index = _pick_input(rng, good)
    rows, width = good.inputs[index].shape
    ranks = [(), (rows,), (rows * width,), (rows, width, 1), (1, rows, width), (rows, 1, width)]
    return _with(good, index, shape=_one(rng, [rank for rank in ranks if len(rank) != 2]))


def wrong_rows(rng: Random, good: Call) -> Call:
    index = _pick_input(rng, good)
    rows, width = good.inputs[index].shape
    counts = [size for size in (*SIZES, rows + 1, rows - 1) if size % 2**32 not in (0, rows)]
    return _with(good, index, shape=(_one(rng, counts), width))


def rows_that_triton_ignores(rng: Random, good: Call) -> Call:
    """Triton counts rows modulo 2³², and ignores the batch dimension of a tensor with 0 rows."""
    index = _pick_input(rng, good)
    rows, width = good.inputs[index].shape
    count = _one(rng, [0, -(2**63), -(2**32), 2**32, 2**40, 2**62, 2**32 + rows, 2**63 - 2**32])
    return _with(good, index, shape=(count, width))


def empty_batch(rng: Random, good: Call) -> Call:
    return _each(good, lambda tensor: replace(tensor, shape=(0, tensor.shape[1]), data=b""))


def with_rows(good: Call, rows: int) -> Call:
    """The same data, declared with another number of rows."""
    return _each(good, lambda tensor: replace(tensor, shape=(rows, tensor.shape[1])))


def too_many_rows(rng: Random, good: Call) -> Call:
    """Twenty times as many rows, more than the tests' servers accept."""
    return _each(
        good,
        lambda tensor: replace(
            tensor, shape=(20 * tensor.shape[0], tensor.shape[1]), data=20 * tensor.data
        ),
    )


def more_rows_than_data(rng: Random, good: Call) -> Call:
    """All tensors declare the same number of rows; Triton counts them modulo 2³²."""
    rows = good.inputs[0].shape[0]
    counts = [size for size in (*SIZES, rows + 1, rows - 1) if size % 2**32 not in (0, rows)]
    return with_rows(good, _one(rng, counts))


def wrong_size(rng: Random, good: Call) -> Call:
    index = _pick_input(rng, good)
    data = good.inputs[index].data
    cut = data[: int(rng.integers(0, len(data)))]
    return _with(good, index, data=_one(rng, [cut, data + rng.bytes(int(rng.integers(1, 40)))]))


def text_longer_than_its_bytes(rng: Random, good: Call) -> Call:
    """The last string's length exceeds the data."""
    index = _pick_input(rng, good, "BYTES")
    tensor = good.inputs[index]
    length = int(_one(rng, [1, 2**31 - 1, 2**31, 2**32 - 1]))
    return _with(good, index, data=tensor.data + length.to_bytes(4, "little"))


def list_of_torn_bytes(rng: Random, good: Call) -> Call:
    """The bytes of one list are invalid."""
    index = _pick_list_input(good, rng)
    tensor = good.inputs[index]
    strings = _strings_of(tensor)
    beyond = int(_one(rng, [1, 100, 2**31, 2**32 - 1])).to_bytes(4, "little")
    torn = [rng.bytes(int(_one(rng, [1, 3]))), beyond, b"\1\0\0\0a" + beyond]
    strings[int(rng.integers(0, len(strings)))] = bytes(_one(rng, torn))
    return _with(good, index, data=text_bytes(strings))


def id_that_no_table_has(rng: Random, good: Call) -> Call:
    """For the DLRM model. For the others any integer is a valid value, so they miss a tensor."""
    if good.model != DLRM_MODEL:
        return missing_tensor(rng, good)
    wrong = int(_one(rng, [-1, NULL, 2**63 - 1, 2**32, 1000])).to_bytes(8, "little", signed=True)
    index = next(index for index, tensor in enumerate(good.inputs) if tensor.name == "ids")
    data = good.inputs[index].data
    start = 8 * int(rng.integers(0, len(data) // 8))
    return _with(good, index, data=data[:start] + wrong + data[start + 8 :])


def infinite_number(rng: Random, good: Call) -> Call:
    """An infinite number in any float tensor; for the DLRM model also NaN."""
    index = _pick_input(rng, good, "FP32")
    wrong = [np.inf, -np.inf, *([np.nan] if good.model == DLRM_MODEL else [])]
    data = good.inputs[index].data
    start = 4 * int(rng.integers(0, len(data) // 4))
    number = np.float32(_one(rng, wrong)).tobytes()
    return _with(good, index, data=data[:start] + number + data[start + 4 :])


def missing_tensor(rng: Random, good: Call) -> Call:
    inputs = list(good.inputs)
    del inputs[_pick_input(rng, good)]
    return replace(good, inputs=tuple(inputs))


def unknown_tensor(rng: Random, good: Call) -> Call:
    extra = replace(
        good.inputs[_pick_input(rng, good)], name=_one(rng, ["other", "", "ids ", "Ä", "x" * 300])
    )
    return replace(good, inputs=(*good.inputs, extra))


def renamed_tensor(rng: Random, good: Call) -> Call:
    index = _pick_input(rng, good)
    name = good.inputs[index].name
    return _with(good, index, name=_one(rng, [name.upper(), name + " ", name[1:], ""]))


def tensor_twice(rng: Random, good: Call) -> Call:
    index = _pick_input(rng, good)
    return replace(good, inputs=(*good.inputs, good.inputs[index]))


def unknown_model(rng: Random, good: Call) -> Call:
    return replace(good, model=_one(rng, ["other", "CTR", "ctr ", "..", "ctr_fused.", "ü"]))


def unknown_version(rng: Random, good: Call) -> Call:
    return replace(
        good, version=_one(rng, ["0", "9", "-1", "x", "99999999999999999999", "2147483649"])
    )


def unknown_output(rng: Random, good: Call) -> Call:
    return replace(good, outputs=(_one(rng, ["other", "continuous", "", "click_probability "]),))


def shared_memory_input(rng: Random, good: Call) -> Call:
    index = _pick_input(rng, good)
    size = len(good.inputs[index].data)
    region = {"shared_memory_region": "other", "shared_memory_byte_size": size}
    return _with(good, index, parameters=region)


def reserved_parameter(rng: Random, good: Call) -> Call:
    return replace(good, parameters={"triton_" + rng.bytes(4).hex(): 1})


def odd_parameter(rng: Random, good: Call) -> Call:
    key = _one(rng, ["priority", "timeout", "sequence_id", "sequence_start", "other", "é"])
    return replace(
        good, parameters={key: _one(rng, [-1, 0, 1, 2**62, True, "x", 0.5, "\0", "é" * 99])}
    )


NULL = -(2**63)

KINDS: Mapping[str, Kind] = {
    kind.__name__: kind
    for kind in (
        *(wrong_dtype, wrong_width, wrong_rank, wrong_rows, rows_that_triton_ignores),
        *(empty_batch, too_many_rows),
        *(more_rows_than_data, wrong_size, text_longer_than_its_bytes, list_of_torn_bytes),
        *(id_that_no_table_has, infinite_number),
        *(missing_tensor, unknown_tensor, renamed_tensor, tensor_twice),
        *(unknown_model, unknown_version, unknown_output, shared_memory_input),
        *(reserved_parameter, odd_parameter),
    )
}

HARMLESS = frozenset({"odd_parameter", "rows_that_triton_ignores"})


def _pick_input(rng: Random, good: Call, datatype: str | None = None) -> int:
    """The index of a random input."""
    indices = [n for n, t in enumerate(good.inputs) if datatype in (None, t.datatype)]
    return int(_one(rng, indices))


def _pick_list_input(good: Call, rng: Random) -> int:
    indices = [n for n, tensor in enumerate(good.inputs) if tensor.name.startswith("list_")]
    return int(_one(rng, indices))


def _strings_of(tensor: Input) -> list[bytes]:
    strings, offset = [], 0
    while offset < len(tensor.data):
        start = offset + 4
        offset = start + int.from_bytes(tensor.data[offset:start], "little")
        strings.append(tensor.data[start:offset])
    return strings


def _with(good: Call, index: int, **changes: Any) -> Call:
    inputs = list(good.inputs)
    inputs[index] = replace(inputs[index], **changes)
    return replace(good, inputs=tuple(inputs))


def _each(good: Call, change: Callable[[Input], Input]) -> Call:
    return replace(good, inputs=tuple(map(change, good.inputs)))


def _one(rng: Random, values: Any) -> Any:
    return values[int(rng.integers(0, len(values)))]
