"""Send a version's check rows through a running server, and compare the answers."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from plumbline.columns.wire import Tensors
from plumbline.serving.client.retries import Retries
from plumbline.serving.client.transport import Transport
from plumbline.serving.contract.check_rows import CHECK_FILE, CheckRows
from plumbline.serving.contract.interface import ENSEMBLE_MODEL, FUSED_MODEL
from plumbline.serving.errors import ServerUnavailable
from plumbline.settings import Serving

_CHECK_OF = {ENSEMBLE_MODEL: FUSED_MODEL}
"""The ensemble computes what the fused model does, and has no check rows of its own."""

_BUSY = Retries(attempts=50, factor=1.5, total_seconds=30.0)
"""A busy server takes requests again within this time."""


def check_version(
    server: Transport, folder: Path, model: str, number: str, precision: str, settings: Serving
) -> None:
    """Raises
    ------
    RepositoryError
        The version's answers are not those of the export.
    ServerError
        It does not answer.
    """
    check = CheckRows.read(folder / _CHECK_OF.get(model, model) / number / CHECK_FILE)
    answers = [
        _answer(
            server,
            model,
            number,
            {name: t[start : start + settings.max_batch_size] for name, t in check.inputs.items()},
        )
        for start in range(0, check.rows, settings.max_batch_size)
    ]
    got = {
        name: np.concatenate([answer.as_numpy(name) for answer in answers])
        for name in check.outputs
    }
    check.compare(got, precision, f"Model {model!r}, version {number}")


def _answer(server: Transport, model: str, number: str, tensors: Tensors) -> Any:
    started, attempts = time.monotonic(), 0
    while True:
        try:
            return server.infer(model, tensors, number)
        except ServerUnavailable as error:
            attempts += 1
            time.sleep(_BUSY.delay(error, attempts, time.monotonic() - started))
