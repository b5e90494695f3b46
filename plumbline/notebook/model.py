"""An exported model, for frames: the server's computation in this process.

Legend: B rows.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.json_format import MessageToJson
from numpy.typing import NDArray

from plumbline.columns.kinds import FeatureKind
from plumbline.columns.value_rules.rules import ValueRules
from plumbline.columns.wire import Tensors, require_finite
from plumbline.notebook.frames import chunks
from plumbline.notebook.plan import Plan
from plumbline.serving.backend.loading import load_executor, load_scorer
from plumbline.serving.backend.served_version import ServedVersion
from plumbline.serving.client.core import ServedModel
from plumbline.serving.client.tables import to_table
from plumbline.serving.client.transport import ModelConfig
from plumbline.serving.contract.check_rows import CHECK_FILE, CheckRows
from plumbline.serving.contract.interface import CLICK_PROBABILITY, FUSED_MODEL
from plumbline.serving.contract.log_rules import LogRules
from plumbline.serving.contract.outputs import scored
from plumbline.serving.contract.versions import CONFIG_FILE, PLAN_FOLDER, newest_version
from plumbline.serving.repository.configs import parameters_in, read_config

_OF_A_RUN = Path("export") / "model_repository"


class Model:
    """A version of an exported model, with its feature plan.

    Parameters
    ----------
    folder
        A run's folder, or a model repository.
    version
        The version's number; empty for the newest.

    Raises
    ------
    RepositoryError, PlanError, ModelError
        There is no exported model, or no such version; a file is missing or was changed; or this
        machine does not compute what the export computed.
    """

    def __init__(self, folder: str | os.PathLike[str], version: str = "") -> None:
        repository = Path(folder)
        if (repository / _OF_A_RUN).is_dir():
            repository = repository / _OF_A_RUN
        config = read_config(repository / FUSED_MODEL / CONFIG_FILE)
        parameters = parameters_in(config)
        number = version or newest_version(FUSED_MODEL, parameters)
        loaded = ServedVersion.open(
            {
                "model_config": MessageToJson(config, preserving_proto_field_name=True),
                "model_name": FUSED_MODEL,
                "model_version": number,
                "model_repository": str(repository / FUSED_MODEL),
                "model_instance_kind": "CPU",
            }
        )
        self._loaded = loaded
        self._columns = ServedModel(
            ModelConfig(FUSED_MODEL, config.max_batch_size, parameters), number
        )
        self._executor, _ = load_executor(loaded)
        self._scorer = load_scorer(loaded)
        check = loaded.folder / CHECK_FILE
        CheckRows.read(check).verify(self._run, loaded.precision, str(check))

    @property
    def version(self) -> str:
        """The version's number."""
        return self._loaded.number

    @property
    def model_hash(self) -> str:
        """SHA-256 of the weights; a server of the same version tells the same."""
        return self._columns.model_hash

    @property
    def inputs(self) -> Mapping[str, FeatureKind]:
        """The raw columns and their kinds, in order."""
        return self._columns.kinds

    @cached_property
    def plan(self) -> Plan:
        """The model's feature plan."""
        rules = LogRules.of_parameters(FUSED_MODEL, self._loaded.parameters)
        log = {} if rules is None else rules.log.model_dump()
        return Plan(self._loaded.folder / PLAN_FOLDER, rules=ValueRules.from_settings(log))

    def score(self, frame: Any) -> NDArray[np.float32]:
        """The click probabilities of a frame's rows, float32 (B,): those that a server answers.

        Parameters
        ----------
        frame
            A pandas or Polars DataFrame, an Arrow table or record batch, a mapping of column name
            to values, or a list of rows. Columns that the model does not read are ignored.

        Raises
        ------
        PlanError, ModelError
            A column is missing, has a type or a value that does not fit its kind, or a number is
            infinite after the steps of the plan.
        """
        parts = [
            self._run(request)[CLICK_PROBABILITY][:, 0]
            for rows in chunks(to_table(frame, self._columns.columns.names))
            for request in self._columns.requests(self._columns.tensors(rows))
        ]
        return np.concatenate(parts).astype(np.float32) if parts else np.empty(0, np.float32)

    def _run(self, tensors: Tensors) -> Tensors:
        encoded = self._executor.transform(tensors)
        require_finite(tensors, self._executor.columns)
        return scored(self._scorer, encoded)

    def __repr__(self) -> str:
        return f"Model({str(self._loaded.folder.parents[1])!r}, version {self.version})"
