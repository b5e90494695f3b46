"""Read JSON that anybody may have written: it ends in a value or in a ValueError."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NoReturn


def read_json(file: Path) -> Any:
    """The value in a file. Raises ValueError as `parse_json` does, and OSError."""
    return parse_json(file.read_bytes())


def parse_json(text: bytes | str) -> Any:
    """The value of a JSON text.

    Raises
    ------
    ValueError
        It is not JSON in UTF-8, is nested too deeply, or has a number that is not finite in float64
        or has thousands of digits.
    """
    try:
        return json.loads(text, parse_float=_finite, parse_constant=_refused)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        _refused(text)
    return number


def _refused(text: str) -> NoReturn:
    raise ValueError(f"it has the number {text[:20]}, which is not finite")
