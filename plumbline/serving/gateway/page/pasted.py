"""Rows that somebody pastes: JSON, JSON lines, or CSV with a head."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from plumbline.base.errors import PlanError
from plumbline.columns.kinds import ELEMENT_KINDS
from plumbline.serving.client.core import ServedModel
from plumbline.serving.gateway.errors import Refused
from plumbline.serving.gateway.json_rows import require_rows
from plumbline.serving.gateway.page.read_back import MOST_EXACT

MOST_ROWS = 1000
MOST_REASONS = 50
_NOT_TRIED = f"Not tried, since {MOST_REASONS} rows before it are refused."
CSV = "text/csv"

_SEPARATORS = ",;\t|"
_WANTED = "JSON rows, JSON lines, or CSV with the columns' names in its first line"


def pasted_rows(body: bytes, is_csv: bool, served: ServedModel) -> list[dict[str, Any]]:
    """The rows of a text, each with those of the model's columns that it has.

    The values of CSV are texts, and missing if empty. So are integers that a browser cannot hold.

    Raises
    ------
    Refused
        The text is of no such form, or has no rows or too many.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused(400, f"Body: wanted {_WANTED} in UTF-8 ({error}).") from None
    rows = list(_of_csv(text, served) if is_csv else _of_json(text))
    require_rows(len(rows), MOST_ROWS)
    return [{name: _exact(row[name]) for name in served.kinds if name in row} for row in rows]


def refused_rows(rows: Sequence[Mapping[str, Any]], served: ServedModel) -> list[dict[str, Any]]:
    """The rows that the model does not take, by position, each with its `error`.

    If rows are refused together, each half is tried. After `MOST_REASONS` refused rows, what was
    not found good until then counts as refused too, and its error says so.
    """
    refused: list[dict[str, Any]] = []
    to_try = [(0, len(rows))]
    while to_try:
        start, end = to_try.pop()
        if len(refused) >= MOST_REASONS:
            refused += [{"row": position, "error": _NOT_TRIED} for position in range(start, end)]
            continue
        try:
            served.tensors(rows[start:end])
        except PlanError as error:
            half = (start + end) // 2
            if half > start:
                to_try += [(half, end), (start, half)]
                continue
            reason = str(error).replace("Rows: row 0 ", "The row ").replace(" in row 0", "")
            refused.append({"row": start, "error": reason})
    return refused


def _of_csv(text: str, served: ServedModel) -> Iterator[dict[str, Any]]:
    head = text.partition("\n")[0]
    separator = max(_SEPARATORS, key=head.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    lists = {name for name, kind in served.kinds.items() if kind in ELEMENT_KINDS}
    names: list[str] | None = None
    try:
        for cells in lines:
            if not cells:
                continue
            if names is None:
                names = [name.strip() for name in cells]
                _require_known(names, served)
                continue
            if len(cells) != len(names):
                raise Refused(
                    400,
                    f"CSV, line {lines.line_num}: wanted {len(names)} fields, as in the first "
                    f"line, got {len(cells)}.",
                )
            yield {n: _cell(c, n in lists) for n, c in zip(names, cells, strict=True)}
    except csv.Error as error:
        raise Refused(400, f"CSV, line {lines.line_num}: {error}.") from None


def _require_known(names: Sequence[str], served: ServedModel) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise Refused(400, f"CSV: column {twice[:100]!r} is there twice.")
    if not set(names) & served.kinds.keys():
        raise Refused(
            400,
            f"CSV: wanted the columns' names in the first line ({', '.join(served.kinds)[:300]}), "
            f"got {', '.join(names)[:100]!r}.",
        )


def _cell(text: str, is_list: bool) -> Any:
    """Lists are JSON, or as the log has them."""
    if is_list and text.startswith("["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return text or None


def _of_json(text: str) -> Iterator[dict[str, Any]]:
    content = _parsed(text)
    if isinstance(content, dict):
        content = content.get("rows", [content])
    if not isinstance(content, list) or any(not isinstance(row, dict) for row in content):
        raise Refused(400, f"Body: wanted {_WANTED}; rows are objects.")
    yield from content


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise Refused(400, "Body: the JSON is nested too deeply.") from None
    except ValueError as error:
        reason = error
    lines = [line for line in text.splitlines() if line.strip()]
    try:
        return [json.loads(line) for line in lines[: MOST_ROWS + 1]]
    except (ValueError, RecursionError):
        raise Refused(400, f"Body: wanted {_WANTED}, but it is not JSON ({reason}).") from None


def _exact(value: Any, is_exact: bool = True) -> Any:
    """The value as a browser can hold it; no kind of column takes what is nested deeper.

    A list has one type, so all its integers are texts if one of them has to be (not `is_exact`).
    """
    if isinstance(value, list):
        is_exact = all(_is_exact(one) for one in value)
        return [[] if isinstance(one, list) else _exact(one, is_exact) for one in value]
    if isinstance(value, dict):
        return {}
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and not (is_exact and _is_exact(value)):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def _is_exact(value: Any) -> bool:
    return not isinstance(value, int) or abs(value) <= MOST_EXACT
