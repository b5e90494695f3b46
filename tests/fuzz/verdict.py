"""Sends requests and checks the answers."""

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
"""Tolerance of a score: the torch implementation depends on the row's batch."""

_NO_ANSWER = ("no answer", "DEADLINE_EXCEEDED", "UNAVAILABLE")

_OUR_MESSAGES = {
    "list_of_torn_bytes": r"Column '\w+': the feature plan wants a list in row \d+ as .*, got .*",
    "id_that_no_table_has": r"Column '\w+': the model has ids 0 to \d+, got -?\d+|got \d+ inputs?",
    "infinite_number": r"wan.*finite float32 number.*inf in row \d+"
    r"|Row \d+: .* not a number, where column '\w+' is nan",
}


def send(connection: Connection, wanted: Any) -> Answer:
    """The status is "no answer" if there is none, or it is not JSON."""
    try:
        return connection.send(wanted)
    except (OSError, HTTPException, ValueError) as error:
        return Answer("no answer", repr(error))


def send_right(connection: Connection, wanted: Any) -> Answer:
    """As `send`, but repeat a valid request that Triton refused for another one's fault.

    Triton checks the number of strings and their lengths, but not that the last one is complete.
    Its Python backend does, and then refuses all requests of the batch.
    """
    answer = send(connection, wanted)
    for _ in range(9):
        if _may_be_anothers(answer):
            answer = send(connection, wanted)
    return answer


def _may_be_anothers(answer: Answer) -> bool:
    """Whether it may be refused for another request of its batch."""
    return answer.message.removeprefix("in ensemble 'ctr', ").startswith("incomplete string data")


def fault_of(kind: str, answer: Answer, right: Tensors | None) -> str:
    """The fault of an answer to a bad request, or ""; `right` is the answer it may get, if any."""
    if answer.is_good:
        return "" if right is not None and is_right(answer, right) else "it was answered"
    if answer.status in _NO_ANSWER and "The server is busy" not in answer.message:
        return "no answer"
    if re.search("Failed to process|The model failed|stub", answer.message):
        return "a fault in the model's code"
    ours = _OUR_MESSAGES.get(kind, "")
    if not re.search(ours, answer.message) and not _may_be_anothers(answer):
        return f"a message without {ours!r}"
    return "" if len(answer.message) > 8 else "an error that says nothing"


def is_right(answer: Answer, right: Tensors) -> bool:
    """Whether the answer has the right tensors, or one of them if only that was requested."""
    return bool(answer.tensors) and all(
        name in right and tensor.shape == right[name].shape and _is_equal(tensor, right[name])
        for name, tensor in answer.tensors.items()
    )


def _is_equal(got: NDArray[Any], right: NDArray[Any]) -> bool:
    if right.dtype == np.float32:
        return bool(np.allclose(got, right, rtol=0, atol=TOLERANCE, equal_nan=True))
    return bool(np.array_equal(got, right))
