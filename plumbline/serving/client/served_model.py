"""What a client knows and computes without speaking to the server.

Legend: B rows, F columns with one id a row, C continuous columns.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline.columns.kinds import FeatureKind
from plumbline.columns.list_bytes import unpack_integers
from plumbline.columns.value_rules.rules import ValueRules
from plumbline.columns.wire import Tensors, WireColumns, to_tensors
from plumbline.features.encoding.encoder import Encoded
from plumbline.serving.client.exchange import ModelConfig
from plumbline.serving.client.tables import to_table
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
    """One version of a model that takes raw columns, as its config tells of it.

    Parameters
    ----------
    config
        The model's config.
    version
        The version that is asked for; empty stands for the newest.

    Raises
    ------
    ServerError
        The model takes no raw columns, or its config tells of no such version.
    """

    def __init__(self, config: ModelConfig, version: str = "") -> None:
        self.name = config.model
        self.version = version
        self.max_batch_size = config.max_batch_size
        parameters = _parameters(config, version)
        self.parameters: Mapping[str, str] = parameters
        self.columns: WireColumns = read_wire_columns(config.model, parameters)
        self.kinds: dict[str, FeatureKind] = json.loads(parameters[KINDS])
        self.plan_hash = parameters.get(PLAN_HASH, "")
        self.model_hash = parameters.get(MODEL_HASH, "")
        self._rules = _value_rules(config.model, parameters)
        self._columns_of = {
            tensor: [str(n) for n in json.loads(parameters.get(f"{tensor}_columns", "[]"))]
            for tensor in (IDS, LIST_IDS, DENSE)
        }

    def tensors(self, data: Any) -> Tensors:
        """Rows in any form of `plumbline.serving.client.tables`, by the rules of the log.

        Raises PlanError where they do not fit.
        """
        return to_tensors(to_table(data, self.columns.names), self.columns, self._rules)

    def requests(self, tensors: Tensors) -> Iterator[Tensors]:
        """The rows in order, in pieces of at most the model's maximum; none for no rows."""
        for start in range(0, rows_of(tensors), self.max_batch_size):
            yield {name: t[start : start + self.max_batch_size] for name, t in tensors.items()}

    def probabilities(self, answers: Sequence[Any]) -> NDArray[np.float32]:
        """(B,), of the answers to `requests`."""
        if not answers:
            return np.empty(0, np.float32)
        return np.concatenate([answer.as_numpy(CLICK_PROBABILITY)[:, 0] for answer in answers])

    def encoded(self, rows: int, answers: Sequence[Any]) -> Encoded:
        """Of the feature step's answers to `requests`."""
        together = {
            name: _together(answers, name, rows, len(self._columns_of[name]), dtype)
            for name, dtype in ((IDS, np.int64), (LIST_IDS, np.object_), (DENSE, np.float32))
        }
        lists = zip(self._columns_of[LIST_IDS], together[LIST_IDS].T, strict=True)
        bags = tuple(unpack_integers(name, packed_B) for name, packed_B in lists)
        return Encoded(together[IDS], bags, together[DENSE])

    def check_same_plan(self, encoder: ServedModel) -> None:
        """Raises ServerError where the feature step is of another plan than this model."""
        if encoder.plan_hash != self.plan_hash:
            raise ServerError(
                f"Model {self.name!r} is of feature plan {self.plan_hash[:12]}…, but "
                f"{encoder.name!r} of {encoder.plan_hash[:12]}…. Export both from one plan."
            )


class ModelFacts(ABC):
    """What a client tells of its model, and the work that needs no server."""

    @property
    @abstractmethod
    def _model(self) -> ServedModel: ...

    @property
    def columns(self) -> WireColumns:
        """The raw columns that the model wants, by tensor."""
        return self._model.columns

    @property
    def raw_columns(self) -> tuple[str, ...]:
        """Their names, in the order of the feature plan."""
        return tuple(self._model.kinds)

    @property
    def kinds(self) -> Mapping[str, FeatureKind]:
        """Their names to their kinds, in the order of the feature plan."""
        return self._model.kinds

    @property
    def parameters(self) -> Mapping[str, str]:
        """The config parameters of the version asked for, when the client connected."""
        return self._model.parameters

    @property
    def plan_hash(self) -> str:
        """Of the version asked for, when the client connected."""
        return self._model.plan_hash

    @property
    def model_hash(self) -> str:
        """Of the version asked for, when the client connected; empty where it has no model."""
        return self._model.model_hash

    @property
    def max_batch_size(self) -> int:
        """Rows of the largest request."""
        return self._model.max_batch_size

    def tensors(self, data: Any) -> Tensors:
        """The rows as the wire's tensors.

        `data` is rows in any form of `plumbline.serving.client.tables`: a mapping of column name to
        values, a pandas or polars DataFrame, an Arrow table or record batch, or a list of mappings,
        one a row. The columns come in any order, and those the model does not know are passed over.

        Raises
        ------
        PlanError
            Missing columns, ones whose type does not fit, or a number that is infinite in float32.
        """
        return self._model.tensors(data)


def rows_of(tensors: Tensors) -> int:
    return len(next(iter(tensors.values())))


def _parameters(config: ModelConfig, version: str) -> Mapping[str, str]:
    """As they are for the version, where the config tells of several."""
    if not version or VERSIONS not in config.parameters:
        return config.parameters
    try:
        return parameters_of(config.model, config.parameters, version)[0]
    except RepositoryError as error:
        raise ServerError(str(error)) from None


def _value_rules(model: str, parameters: Mapping[str, str]) -> ValueRules:
    """The rules of the log that the model was trained on; the usual ones where none are told."""
    if LOG not in parameters:
        return ValueRules()
    try:
        return ValueRules.from_json(parameters[LOG])
    except (ValueError, TypeError) as error:
        raise ServerError(
            f"Model {model!r}: its config tells how the log was read in a form that this "
            f"Plumbline does not know ({error}). Upgrade the client."
        ) from None


def _together(
    answers: Sequence[Any], name: str, rows: int, width: int, dtype: type[np.generic]
) -> NDArray[Any]:
    """A tensor of all answers, (rows, width)."""
    together = np.empty((rows, width), dtype)
    if together.size:
        np.concatenate([answer.as_numpy(name) for answer in answers], out=together)
    return together
