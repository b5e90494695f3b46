"""What both clients share: a model's config, requests from rows, and results from answers.

Nothing here communicates with a server.

Legend: B rows, F columns with one id a row, C continuous columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline.base.json_text import parse_json
from plumbline.columns.few_rows import FEW_ROWS, FewRows
from plumbline.columns.kinds import FeatureKind
from plumbline.columns.list_bytes import unpack_integers
from plumbline.columns.value_rules.rules import ValueRules
from plumbline.columns.wire import Tensors, WireColumns, to_tensors
from plumbline.features.encoding.encoder import Encoded
from plumbline.serving.client.connection import Connection
from plumbline.serving.client.tables import to_table
from plumbline.serving.client.transport import ModelConfig
from plumbline.serving.contract.interface import (
    CLICK_PROBABILITY,
    DENSE,
    IDS,
    KINDS,
    LIST_IDS,
    LOG,
    MODEL_HASH,
    PLAN_HASH,
    read_wire_columns,
)
from plumbline.serving.contract.versions import VERSIONS, parameters_of
from plumbline.serving.errors import RepositoryError, ServerError


class ServedModel:
    """One version of a model that takes raw columns, as its config describes it.

    Parameters
    ----------
    config
        The model's config.
    version
        The requested version; empty for the newest.

    Raises
    ------
    ServerError
        The model takes no raw columns, or its config lists no such version.
    """

    def __init__(self, config: ModelConfig, version: str = "") -> None:
        self.name = config.model
        self.version = version
        self.max_batch_size = config.max_batch_size
        parameters = _parameters(config, version)
        self.parameters: Mapping[str, str] = parameters
        self.columns: WireColumns = read_wire_columns(config.model, parameters)
        self.kinds: dict[str, FeatureKind] = parse_json(parameters[KINDS])
        self.plan_hash = parameters.get(PLAN_HASH, "")
        self.model_hash = parameters.get(MODEL_HASH, "")
        self._rules = _value_rules(config.model, parameters)
        self._few_rows = FewRows(self.columns, self._rules)
        self._columns_of = {
            tensor: _names(config.model, parameters, f"{tensor}_columns")
            for tensor in (IDS, LIST_IDS, DENSE)
        }

    def tensors(self, data: Any) -> Tensors:
        """Rows as tensors, read with the log's value rules. `data` is as for `to_table`.

        Raises PlanError if the rows do not fit the model.
        """
        if (
            type(data) is list
            and 0 < len(data) <= FEW_ROWS
            and {type(row) for row in data} == {dict}
        ):
            few = self._few_rows.tensors(data)
            if few is not None:
                return few
        return to_tensors(to_table(data, self.columns.names), self.columns, self._rules)

    def requests(self, tensors: Tensors) -> Iterator[Tensors]:
        """The rows in order, in chunks of at most the model's maximum; without rows no chunk."""
        for start in range(0, rows_of(tensors), self.max_batch_size):
            yield {name: t[start : start + self.max_batch_size] for name, t in tensors.items()}

    def probabilities(self, answers: Sequence[Any]) -> NDArray[np.float32]:
        """probability_B, from the answers to `requests`."""
        if not answers:
            return np.empty(0, np.float32)
        return np.concatenate([answer.as_numpy(CLICK_PROBABILITY)[:, 0] for answer in answers])

    def encoded(self, rows: int, answers: Sequence[Any]) -> Encoded:
        """The encoded rows, from the feature model's answers to `requests`."""
        joined = {
            name: _joined(answers, name, rows, len(self._columns_of[name]), dtype)
            for name, dtype in ((IDS, np.int64), (LIST_IDS, np.object_), (DENSE, np.float32))
        }
        lists = zip(self._columns_of[LIST_IDS], joined[LIST_IDS].T, strict=True)
        bags = tuple(unpack_integers(name, packed_B) for name, packed_B in lists)
        return Encoded(joined[IDS], bags, joined[DENSE])


class ClientCore:
    """The connection of a client, and the model as the server's config describes it."""

    def __init__(self, connection: Connection, model: str, version: str) -> None:
        self._connection = connection
        self._name, self._version = model, version
        self._served: ServedModel | None = None
        self._encoder: ServedModel | None = None

    @property
    def columns(self) -> WireColumns:
        """The model's raw columns, by tensor."""
        return self._model.columns

    @property
    def kinds(self) -> Mapping[str, FeatureKind]:
        """The raw columns and their kinds, in the order of the feature plan."""
        return self._model.kinds

    @property
    def parameters(self) -> Mapping[str, str]:
        """The config parameters of the requested version, at the time of connecting."""
        return self._model.parameters

    @property
    def plan_hash(self) -> str:
        """Of the requested version, at the time of connecting."""
        return self._model.plan_hash

    @property
    def model_hash(self) -> str:
        """Of the requested version, at the time of connecting; empty if it has no weights."""
        return self._model.model_hash

    @property
    def max_batch_size(self) -> int:
        """The most rows of a request."""
        return self._model.max_batch_size

    def tensors(self, data: Any) -> Tensors:
        """Rows as the tensors of a request.

        Parameters
        ----------
        data
            A mapping of column name to values, a pandas or Polars DataFrame, an Arrow table or
            record batch, or a list of mappings, one a row. The columns may be in any order; columns
            that the model does not know are ignored.

        Returns
        -------
        dict[str, numpy.ndarray]
            Tensor name to values, (rows, columns): those of docs/serving.md.

        Raises
        ------
        PlanError
            Columns are missing, a column's type does not fit, or a number is infinite in float32.
        """
        return self._model.tensors(data)

    @property
    def _model(self) -> ServedModel:
        if self._served is None:
            raise self._not_connected()
        return self._served

    def _not_connected(self) -> ServerError:
        return ServerError(
            f"The client of {self._connection.url} is not connected. "
            "Use it inside `async with AsyncClient(…) as client:`."
        )

    def _set_model(self, config: ModelConfig) -> None:
        self._served = ServedModel(config, self._version)

    def _set_encoder(self, config: ModelConfig) -> ServedModel:
        """Raises ServerError if the feature model has another plan than the model that scores."""
        encoder = ServedModel(config, self._version)
        if encoder.plan_hash != self.plan_hash:
            raise ServerError(
                f"Model {self._model.name!r} has feature plan {self.plan_hash[:12]}…, but "
                f"{encoder.name!r} has {encoder.plan_hash[:12]}…. Export both from one plan."
            )
        self._encoder = encoder
        return encoder


def rows_of(tensors: Tensors) -> int:
    return len(next(iter(tensors.values())))


def _parameters(config: ModelConfig, version: str) -> Mapping[str, str]:
    """The parameters of the version, if the config lists several."""
    if not version or VERSIONS not in config.parameters:
        return config.parameters
    try:
        return parameters_of(config.model, config.parameters, version)[0]
    except RepositoryError as error:
        raise ServerError(str(error)) from None


def _names(model: str, parameters: Mapping[str, str], name: str) -> list[str]:
    """A list of columns among the config's parameters; empty if there is none."""
    try:
        names = parse_json(parameters.get(name, "[]"))
    except ValueError:
        names = None
    if not isinstance(names, list):
        raise ServerError(
            f"Model {model!r}: its config has no readable parameter {name!r}. Export it again."
        )
    return [str(column) for column in names]


def _value_rules(model: str, parameters: Mapping[str, str]) -> ValueRules:
    """The rules of the log that trained the model; the defaults if the config has none."""
    if LOG not in parameters:
        return ValueRules()
    try:
        return ValueRules.from_json(parameters[LOG])
    except (ValueError, TypeError) as error:
        raise ServerError(
            f"Model {model!r}: this Plumbline does not know the rules of the log in its config "
            f"({error}). Upgrade the client."
        ) from None


def _joined(
    answers: Sequence[Any], name: str, rows: int, width: int, dtype: type[np.generic]
) -> NDArray[Any]:
    """One tensor of all answers, (rows, width)."""
    joined = np.empty((rows, width), dtype)
    if joined.size:
        np.concatenate([answer.as_numpy(name) for answer in answers], out=joined)
    return joined
