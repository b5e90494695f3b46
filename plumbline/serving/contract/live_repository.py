"""Read back what a repository serves: its models' configs and the versions that they list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

from plumbline.base.manifest import differences
from plumbline.features.plan.plan import Plan
from plumbline.serving.contract.interface import (
    ENSEMBLE_MODEL,
    FEATURES_MODEL,
    KINDS,
    MODELS,
    encoded_parameters,
    raw_parameters,
)
from plumbline.serving.contract.versions import (
    CONFIG_FILE,
    VERSIONS,
    Version,
    newest,
    versions_from_json,
)
from plumbline.serving.errors import RepositoryError


@dataclass(frozen=True, slots=True)
class LiveRepository:
    """A repository as its configs describe it; version folders they do not list are leftovers."""

    folder: Path
    configs: Mapping[str, str]
    """Model name to the text of its config."""
    parameters: Mapping[str, Mapping[str, str]]
    versions: Mapping[str, Mapping[str, Version]]
    """Model name, then version number."""
    max_batch_size: int
    """Of a request for scores."""

    @classmethod
    def read(cls, folder: Path) -> LiveRepository:
        """Raises RepositoryError where one of the four models has no config, or not one of ours."""
        configs = {model: _config(folder / model / CONFIG_FILE) for model in MODELS}
        parsed = {m: _parsed(folder / m / CONFIG_FILE, text) for m, text in configs.items()}
        parameters = {model: _parameters(config) for model, config in parsed.items()}
        versions = {
            model: versions_from_json(model, parameters[model].get(VERSIONS, ""))
            for model in MODELS
        }
        max_batch_size = int(parsed[ENSEMBLE_MODEL].max_batch_size)
        return cls(folder, configs, parameters, versions, max_batch_size)

    @property
    def current(self) -> str:
        """The version that answers requests which name none."""
        return newest(self.versions[ENSEMBLE_MODEL])

    def check_interface(self, plan: Plan) -> None:
        """Clients and the steps between them go on with a new plan only if its tensors are these.

        Raises
        ------
        RepositoryError
            Other raw columns, or other tensors between the steps; the differences are told.
        """
        wanted = _of_tensors({**raw_parameters(plan), **encoded_parameters(plan)})
        found = differences(_of_tensors(self.parameters[FEATURES_MODEL]), wanted)
        if found:
            raise RepositoryError(
                f"{self.folder}: the new plan's tensors are not those that are served "
                f"({'; '.join(found)}). Export it into a repository of its own."
            )


def _of_tensors(parameters: Mapping[str, str]) -> dict[str, str]:
    """Those of a config's parameters that describe tensors."""
    suffixes = ("_columns", "_null", "_elements")
    return {k: value for k, value in parameters.items() if k == KINDS or k.endswith(suffixes)}


def _config(file: Path) -> str:
    if not file.is_file():
        raise RepositoryError.missing(str(file))
    return file.read_text(encoding="utf-8")


def _parsed(file: Path, text: str) -> Any:
    try:
        return text_format.Parse(text, ModelConfig())
    except text_format.ParseError as error:
        raise RepositoryError.wrong_content(str(file), "a model config", str(error)) from None


def _parameters(config: Any) -> dict[str, str]:
    return {key: value.string_value for key, value in config.parameters.items()}
