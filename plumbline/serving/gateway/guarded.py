"""The answer to a request, whatever its work raises, within the time of a request."""

from __future__ import annotations

import logging
from collections.abc import Coroutine
from typing import Any

from starlette.responses import Response

from plumbline.base.errors import PlanError
from plumbline.serving.errors import RepositoryError, ServerError
from plumbline.serving.gateway import answers
from plumbline.serving.gateway.deadline import Deadline
from plumbline.serving.gateway.errors import Refused

_log = logging.getLogger("plumbline.gateway")


async def guarded(work: Coroutine[Any, Any, Response], seconds: float) -> Response:
    """The answer of `work`, a refusal if it raises one, or 504 after `seconds`."""
    try:
        with Deadline(seconds):
            return await work
    except TimeoutError:
        return answers.failed(504, f"No answer within {seconds:g} s.")
    except (PlanError, ServerError, RepositoryError, Refused) as error:
        return answers.refused(error)
    except Exception as error:  # noqa: BLE001  a bug of ours fails this request alone
        _log.exception("a request")
        return answers.failed(500, answers.BUG.format(type(error).__name__))
