"""The gateway's interface as an OpenAPI document, with the columns of the served model."""

from __future__ import annotations

from typing import Any

from plumbline.columns.kinds import FeatureKind
from plumbline.serving.client.core import ServedModel
from plumbline.serving.contract.interface import CLICK_PROBABILITY
from plumbline.serving.gateway.answers import JSON
from plumbline.serving.gateway.arrow_rows import MEDIA_TYPE
from plumbline.serving.gateway.settings import Limits

VERSION = "1"

_TYPES: dict[FeatureKind, dict[str, Any]] = {
    "continuous": {"type": ["number", "null"]},
    "integer": {"type": ["integer", "null"]},
    "boolean": {"type": ["boolean", "null"]},
    "hex": {"type": ["string", "integer", "null"], "description": "hexadecimal digits"},
    "string": {"type": ["string", "null"]},
    "time": {"type": ["string", "number", "null"], "description": "a time, as in the log"},
    "integer_list": {"type": ["array", "null"], "items": {"type": ["integer", "null"]}},
    "hex_list": {"type": ["array", "null"], "items": {"type": ["string", "integer", "null"]}},
    "string_list": {"type": ["array", "null"], "items": {"type": ["string", "null"]}},
}
_EXAMPLES: dict[FeatureKind, Any] = {
    "continuous": 0.5,
    "integer": 7,
    "boolean": True,
    "hex": "68fd1e64",
    "string": "a",
    "time": "2024-05-01 12:30:00",
    "integer_list": [7, 9],
    "hex_list": ["68fd1e64"],
    "string_list": ["a", "b"],
}


def example_row(served: ServedModel) -> dict[str, Any]:
    """A row with a value of its kind in every column."""
    return {name: _EXAMPLES[kind] for name, kind in served.kinds.items()}


def openapi(served: ServedModel, limits: Limits, with_secret: bool) -> dict[str, Any]:
    """The document; `with_secret` adds the bearer secret."""
    row = {
        "type": "object",
        "required": list(served.kinds),
        "properties": {name: _TYPES[kind] for name, kind in served.kinds.items()},
        "example": example_row(served),
    }
    rows = {"type": "array", "items": row, "minItems": 1, "maxItems": limits.rows}
    wanted = {"type": "object", "required": ["rows"], "properties": {"rows": rows}}
    scores = {"type": "array", "items": {"type": "number", "minimum": 0, "maximum": 1}}
    got = {
        "type": "object",
        "properties": {
            "model": {"type": "string"},
            "version": {"type": "string"},
            CLICK_PROBABILITY: scores,
        },
    }
    arrow = {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}
    score = {
        "summary": "Score rows",
        "description": f"At most {limits.rows:,} rows and {limits.body_bytes:,} bytes. Every row "
        "has every column; a missing value is null. An Arrow stream has the same columns.",
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": wanted}, **arrow},
        },
        "responses": {
            "200": {
                "description": "One click probability a row, in order",
                "content": {JSON: {"schema": got}, **arrow},
            },
            **{status: _failure(reason) for status, reason in _FAILURES.items()},
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Plumbline", "version": VERSION},
        "paths": {
            "/v1/score": {"post": score},
            "/v1/model": {"get": _get("The model's columns, version and hashes, and the limits")},
            "/health/live": {"get": _get("Whether gateway and launcher run")},
            "/health/ready": {"get": _get("Whether requests for scores are answered")},
            "/metrics": {"get": _get("Metrics in Prometheus' text form")},
        },
    } | (_SECURITY if with_secret else {})


_FAILURES = {
    "400": "The rows do not fit the model; the error says what was wanted",
    "401": "The bearer secret is missing or wrong",
    "413": "Too many rows or bytes",
    "415": "Neither JSON nor an Arrow stream, or compressed",
    "503": "Overloaded, or the model restarts: send it again later",
    "504": "No answer in time",
}
_SECURITY: dict[str, Any] = {
    "components": {"securitySchemes": {"secret": {"type": "http", "scheme": "bearer"}}},
    "security": [{"secret": []}],
}


def _failure(reason: str) -> dict[str, Any]:
    error = {"type": "object", "properties": {"error": {"type": "string"}}}
    return {"description": reason, "content": {JSON: {"schema": error}}}


def _get(summary: str) -> dict[str, Any]:
    return {"summary": summary, "responses": {"200": {"description": "As said"}}}
