"""Answer the requests of one call in one pass over their rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from plumbline.base.errors import PlumblineError
from plumbline.columns.wire import Tensors
from plumbline.serving.contract.check_rows import Run


def answer(requests: Sequence[Tensors], run: Run) -> list[Tensors | PlumblineError]:
    """Run a step once over the rows of all requests, and share the rows of its outputs out again.

    Where that pass is refused, or the requests' shapes or types differ, each request runs by
    itself, so that a request which cannot be answered spoils no other: its place holds the error.
    """
    if len(requests) > 1 and len({_form(request) for request in requests}) == 1:
        try:
            return [*_together(requests, run)]
        except PlumblineError:
            return [_alone(request, run) for request in requests]
    return [_alone(request, run) for request in requests]


def _alone(request: Tensors, run: Run) -> Tensors | PlumblineError:
    try:
        return run(request)
    except PlumblineError as error:
        return error


def _together(requests: Sequence[Tensors], run: Run) -> list[Tensors]:
    rows = [len(next(iter(request.values()))) for request in requests]
    outputs = run({name: np.concatenate([r[name] for r in requests]) for name in requests[0]})
    ends = np.cumsum(rows).tolist()
    return [
        {name: output[end - count : end] for name, output in outputs.items()}
        for end, count in zip(ends, rows, strict=True)
    ]


def _form(request: Tensors) -> tuple[tuple[str, str, tuple[int, ...]], ...]:
    return tuple((name, str(t.dtype), t.shape[1:]) for name, t in sorted(request.items()))
