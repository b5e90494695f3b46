"""A version folder as Triton hands it to a step: verified, and with the settings of its config."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from serving.interface import THREADS
from serving.versions import ServedPrecision, parameters_of, verified_manifest


@dataclass(frozen=True, slots=True)
class ServedVersion:
    """What a step is loaded from."""

    model: str
    number: str
    folder: Path
    parameters: Mapping[str, str]
    """Of the config, with the hashes of this version."""
    inputs: tuple[str, ...]
    """Names of the input tensors, in the config's order."""
    precision: ServedPrecision | None
    threads: int
    """Of each instance."""

    @classmethod
    def open(cls, args: Mapping[str, str]) -> ServedVersion:
        """From the arguments that Triton gives to `initialize`; the folder's manifest is checked.

        Raises
        ------
        RepositoryError
            The config does not list the version, or a file is missing or was changed.
        """
        config = json.loads(args["model_config"])
        model, number = args["model_name"], args["model_version"]
        given = {k: v.get("string_value", "") for k, v in config["parameters"].items()}
        parameters, version = parameters_of(model, given, number)
        folder = Path(args["model_repository"]) / number
        instances = sum(int(group["count"]) for group in config["instance_group"])
        return cls(
            model=model,
            number=number,
            folder=folder,
            parameters=parameters,
            inputs=tuple(tensor["name"] for tensor in config["input"]),
            precision=verified_manifest(folder, version).precision,
            threads=threads_of(parameters.get(THREADS, ""), instances),
        )


def threads_of(setting: str, instances: int) -> int:
    """The setting, or where it is empty this process's cores, shared out among the instances.

    >>> threads_of("3", 2)
    3
    """
    return int(setting) if setting else max(1, len(os.sched_getaffinity(0)) // instances)
