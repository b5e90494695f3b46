"""Answers of the gateway: scores in JSON or Arrow, and refusals in JSON."""

from __future__ import annotations

import logging

import pyarrow as pa
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from plumbline.base.errors import PlanError
from plumbline.serving.contract.interface import CLICK_PROBABILITY
from plumbline.serving.errors import RepositoryError, RequestRefused, ServerError, ServerUnavailable
from plumbline.serving.gateway.arrow_rows import MEDIA_TYPE
from plumbline.serving.gateway.errors import Refused
from plumbline.serving.gateway.scoring import Scores

JSON = "application/json"
RETRY_SECONDS = 1
BUG = "The gateway failed: {}. The server's log says more."
_LONGEST_REASON = 2000
_BODY_UNREAD = (413, 415, 503, 504)
"""With these statuses the connection ends: the client may still be sending."""

_log = logging.getLogger("plumbline.gateway")


def wants_arrow(accept: str, content_type: str) -> bool:
    """Whether the answer is Arrow: as the header Accept says, else as the request was."""
    if MEDIA_TYPE in accept:
        return True
    return content_type == MEDIA_TYPE and JSON not in accept


def scored(scores: Scores, in_arrow: bool) -> Response:
    model = {"model": scores.model.name, "version": scores.model.version}
    if not in_arrow:
        return JSONResponse({**model, CLICK_PROBABILITY: scores.probability_B.tolist()})
    table = pa.table({CLICK_PROBABILITY: scores.probability_B}).replace_schema_metadata(model)
    with pa.BufferOutputStream() as sink:
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
        return Response(sink.getvalue().to_pybytes(), media_type=MEDIA_TYPE)


def refused(error: PlanError | ServerError | RepositoryError | Refused) -> Response:
    """The answer to a request that has no scores. What happens inside is for the log alone."""
    if isinstance(error, Refused):
        return failed(error.status, str(error))
    if isinstance(error, RequestRefused):
        return failed(400, error.reason)
    if isinstance(error, PlanError):
        return failed(400, str(error))
    if isinstance(error, ServerUnavailable):
        return failed(503, "The model is overloaded or restarts. Send the request again later.")
    _log.error("%s", error)
    return failed(502, "The model did not answer as it should. The server's log says more.")


def failed(status: int, reason: str) -> Response:
    headers = {"Connection": "close"} if status in _BODY_UNREAD else {}
    if status == 503:
        headers["Retry-After"] = str(RETRY_SECONDS)
    return JSONResponse({"error": reason[:_LONGEST_REASON]}, status, headers)


def http_error(_: Request, error: Exception) -> Response:
    """An unknown path, or a method that it does not have."""
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    return JSONResponse({"error": f"{error.detail}. See /docs."}, error.status_code, headers)


def bug(_: Request, error: Exception) -> Response:
    """The traceback is in the log, where Starlette's server writes it."""
    return failed(500, BUG.format(type(error).__name__))
