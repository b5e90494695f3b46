"""Rows as people write JSON: `{"rows": [{"user": 7, "genres": ["Drama"], "age": null}]}`."""

from __future__ import annotations

import json
from typing import Any

from plumbline.serving.gateway.errors import Refused

_FORM = 'an object {"rows": [{COLUMN: VALUE, …}, …]}'


def rows_of_json(body: bytes, most: int) -> list[dict[str, Any]]:
    """The rows of a body. Their columns are not looked at here.

    NaN, which JSON does not have and Python writes, is a missing number.

    Raises
    ------
    Refused
        The body is not JSON, has another form, or has no rows or too many.
    """
    try:
        content = json.loads(body)
    except RecursionError:
        raise Refused(400, "Body: the JSON is nested too deeply.") from None
    except ValueError as error:  # also bytes that are not UTF-8, and numbers of thousands of digits
        raise Refused(400, f"Body: wanted {_FORM}, but it is not JSON ({error}).") from None
    if not isinstance(content, dict) or not isinstance(content.get("rows"), list):
        raise Refused(400, f"Body: wanted {_FORM}, got {_shape(content)}.")
    unknown = sorted(content.keys() - {"rows"})
    if unknown:
        raise Refused(400, f"Body: wanted {_FORM}, got the key {unknown[0][:40]!r} too.")
    rows: list[dict[str, Any]] = content["rows"]
    require_rows(len(rows), most)
    return rows


def require_rows(rows: int, most: int) -> None:
    """Raises Refused unless there are 1 to `most` rows."""
    if rows == 0:
        raise Refused(400, "Rows: wanted at least one, got none.")
    if rows > most:
        raise Refused(413, f"Rows: wanted at most {most:,} in a request, got {rows:,}.")


def _shape(content: Any) -> str:
    if not isinstance(content, dict):
        return f"a JSON {type(content).__name__}"
    if "rows" in content:
        return f"rows of type {type(content['rows']).__name__}"
    return "an object without rows"
