"""Send requests, and judge what comes."""

from __future__ import annotations

import re
from http.client import HTTPException
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline.columns.wire import Tensors
from plumbline.dlrm.ops.library import cpu_module
from tests.fuzz.connection import Answer, GrpcConnection, HttpConnection

Connection = HttpConnection | GrpcConnection

TOLERANCE = 0.0 if cpu_module() is not None else 1e-6
"""Of a score. In torch's form it depends on the batch that its row is in."""

_NO_ANSWER = ("no answer", "DEADLINE_EXCEEDED", "UNAVAILABLE")

_OUR_MESSAGES = {
    "list_of_torn_bytes": r"Column '\w+': the feature plan wants a list in row \d+ as .*, got .*",
    "id_that_no_table_has": r"Column '\w+': the model has ids 0 to \d+, got -?\d+|got \d+ inputs?",
    "infinite_number": r"wan.*finite float32 number.*inf in row \d+"
    r"|Row \d+: .* not a number, where column '\w+' is nan",
}


def send(connection: Connection, wanted: Any) -> Answer:
    """No answer, or one that is no JSON, has the status "no answer"."""
    try:
        return connection.send(wanted)
    except (OSError, HTTPException, ValueError) as error:
        return Answer("no answer", repr(error))


def send_right(connection: Connection, wanted: Any) -> Answer:
    """As `send`, and again where Triton refused a right request for the fault of another one.

    Triton looks at the number of a request's strings and at their lengths, but not at whether all
    bytes of the last one came. That is left to its Python backend, which refuses every request of
    the batch for it.
    """
    came = send(connection, wanted)
    for _ in range(9):
        if came.message.removeprefix("in ensemble 'ctr', ").startswith("incomplete string data"):
            came = send(connection, wanted)
    return came


def fault_of_bad(kind: str, came: Answer, right: Tensors | None) -> str:
    """What is wrong with the answer to a bad request, or nothing; `right` where it may have one."""
    if came.is_good:
        return "" if right is not None and is_right(came, right) else "it was answered"
    if came.status in _NO_ANSWER and "The server is busy" not in came.message:
        return "no answer"
    if re.search("Failed to process|The model failed|stub", came.message):
        return "a fault in the model's code"
    if kind in _OUR_MESSAGES and not re.search(_OUR_MESSAGES[kind], came.message):
        return f"a message without {_OUR_MESSAGES[kind]!r}"
    return "" if len(came.message) > 8 else "an error that says nothing"


def is_right(came: Answer, right: Tensors) -> bool:
    """Whether the answer holds the right tensors, or one of them where only it was asked for."""
    return bool(came.tensors) and all(
        name in right and tensor.shape == right[name].shape and _is_equal(tensor, right[name])
        for name, tensor in came.tensors.items()
    )


def _is_equal(came: NDArray[Any], right: NDArray[Any]) -> bool:
    if right.dtype == np.float32:
        return bool(np.allclose(came, right, rtol=0, atol=TOLERANCE, equal_nan=True))
    return bool(np.array_equal(came, right))
