"""What a command tells, as lines of JSON for programs: `--json`.

One object a line on standard output, with `time` (seconds since 1970) and `event`:

| event | further keys |
|---|---|
| `stage` | `stage`, `state`: begun, complete or skipped; `seconds` of a complete one |
| `progress` | `what`, `done`, `total`, `unit`, `seconds`, `rate` (units a second), `seconds_left` |
| `line`, `warning` | `text`: what a person reads |
| `alarm`, `good` | `text`: that the result is not good, or that it is |
| `inferred` | of `init`, as in the configuration: `name`, `label`, `click`, `at_least`, `split`, |
| | `columns`, `tables`; and the `rows` that were looked at, `clicks` of them |
| `written` | of `init`: `file`; `next`, the command that runs it |
| `ready` | of `server`, after each start: `http`, `grpc`, `metrics`, `gateway`, `models`; after a |
| | restart `crash_log` |
| `stopped` | of `server`: nothing else |
| `error` | `text`, `status`: the exit status |

What is not known is null: a total, and the time left.

It needs no package, since it also runs in the server's image.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

_is_on = False


def write_json_lines(wanted: bool = True) -> None:
    """From now on, tell events as JSON and nothing as text; or the other way round."""
    global _is_on
    _is_on = wanted


def writes_json_lines() -> bool:
    """Whether events are told as JSON."""
    return _is_on


def event(name: str, /, **content: Any) -> None:
    """Write one event; call it only if `writes_json_lines()`."""
    line = {"time": round(time.time(), 3), "event": name, **content}
    sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
    sys.stdout.flush()
