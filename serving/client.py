"""A client that takes rows by column name; what the server wants, it asks the server.

Legend: B rows, F columns with one id a row, C continuous columns.
"""

from __future__ import annotations

import json
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.encoder import Encoded
from features.errors import ServerError
from features.list_bytes import unpack_integers
from features.wire import Tensors, WireColumns, to_tensors
from serving.interface import (
    CLICK_PROBABILITY,
    DENSE,
    FEATURES_MODEL,
    FUSED_MODEL,
    IDS,
    LIST_IDS,
    MODEL_HASH,
    PLAN_HASH,
    read_wire_columns,
)
from serving.tables import to_table
from serving.transport import ModelConfig, Protocol, connect


class Client:
    """Scores rows with one served model, and encodes them with its feature step.

    Over HTTP a client is for one thread at a time; over gRPC it may be shared.

    Parameters
    ----------
    url
        Host and port, without a scheme: `127.0.0.1:8000`.
    model
        The model that scores: `ctr_fused`, or the ensemble `ctr`.
    timeout_seconds
        Time limit of one request.

    Raises
    ------
    ServerError
        The server is not there, has no such model, or the model takes no raw columns.
    """

    def __init__(
        self,
        url: str,
        protocol: Protocol = "http",
        model: str = FUSED_MODEL,
        timeout_seconds: float = 60.0,
    ) -> None:
        self._transport = connect(url, protocol, timeout_seconds)
        try:
            self._config = self._transport.config(model)
            self.columns: WireColumns = read_wire_columns(model, self._config.parameters)
        except ServerError:
            self._transport.close()
            raise
        self._encoder: ModelConfig | None = None

    @property
    def plan_hash(self) -> str:
        return self._config.parameters[PLAN_HASH]

    @property
    def model_hash(self) -> str:
        return self._config.parameters[MODEL_HASH]

    @property
    def max_batch_size(self) -> int:
        return self._config.max_batch_size

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._transport.close()

    def tensors(self, data: Any) -> Tensors:
        """The rows as the wire's tensors.

        `data` is a mapping of column name to values, a pandas or polars DataFrame, or an Arrow
        table; columns come in any order, and those the model does not know are passed over.

        Raises
        ------
        PlanError
            A missing column, or one whose type does not fit.
        """
        return to_tensors(to_table(data, self.columns.names), self.columns)

    def score(self, data: Any) -> NDArray[np.float32]:
        """Click probabilities, float32 (B,), of rows as `tensors` takes them.

        Raises
        ------
        PlanError
            As in `tensors`.
        ServerError
            The server's message, or why it cannot be reached.
        """
        return self.predict(self.tensors(data))

    def predict(self, tensors: Tensors) -> NDArray[np.float32]:
        """As `score`, of tensors; more rows than the model's maximum go as several requests."""
        answers = self._infer(self._config, tensors)
        if not answers:
            return np.empty(0, np.float32)
        return np.concatenate([a.as_numpy(CLICK_PROBABILITY)[:, 0] for a in answers])

    def encode(self, data: Any) -> Encoded:
        """The feature step's answer: ids, lists of ids, floats, of rows as `tensors` takes them.

        Raises
        ------
        PlanError, ServerError
            As `score`; also where the feature step is of another plan than the model.
        """
        tensors = self.tensors(data)
        config = self._encoder_config()
        rows, answers = _rows(tensors), self._infer(config, tensors)
        encoded = {
            name: _together(answers, name, rows, len(_columns(config, name)), dtype)
            for name, dtype in ((IDS, np.int64), (LIST_IDS, np.object_), (DENSE, np.float32))
        }
        lists = zip(_columns(config, LIST_IDS), encoded[LIST_IDS].T, strict=True)
        bags = tuple(unpack_integers(name, packed_B) for name, packed_B in lists)
        return Encoded(encoded[IDS], bags, encoded[DENSE])

    def _encoder_config(self) -> ModelConfig:
        if self._encoder is None:
            self._encoder = self._transport.config(FEATURES_MODEL)
            came = self._encoder.parameters.get(PLAN_HASH, "")
            if came != self.plan_hash:
                raise ServerError(
                    f"Model {self._config.model!r} is of feature plan {self.plan_hash[:12]}…, but "
                    f"{FEATURES_MODEL!r} of {came[:12]}…. Export both from one plan."
                )
        return self._encoder

    def _infer(self, config: ModelConfig, tensors: Tensors) -> list[Any]:
        return [
            self._transport.infer(
                config.model,
                {name: t[start : start + config.max_batch_size] for name, t in tensors.items()},
            )
            for start in range(0, _rows(tensors), config.max_batch_size)
        ]


def _rows(tensors: Tensors) -> int:
    return len(next(iter(tensors.values())))


def _columns(config: ModelConfig, tensor: str) -> list[str]:
    """A tensor without columns is left out of the config."""
    return [str(name) for name in json.loads(config.parameters.get(f"{tensor}_columns", "[]"))]


def _together(
    answers: list[Any], name: str, rows: int, width: int, dtype: type[np.generic]
) -> NDArray[Any]:
    """A tensor of all answers, (rows, width)."""
    together = np.empty((rows, width), dtype)
    if together.size:
        np.concatenate([answer.as_numpy(name) for answer in answers], out=together)
    return together
