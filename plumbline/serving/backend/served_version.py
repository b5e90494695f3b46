"""A version folder as Triton passes it to a model: verified, with the settings of its config."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plumbline.dlrm.ops.scoring.precision import ScoringPrecision
from plumbline.features.drift.reference import REFERENCE_FILE
from plumbline.serving.backend.cores import cores
from plumbline.serving.backend.waiting import CALL_SECONDS, Limits
from plumbline.serving.contract.interface import (
    DRIFT_COLUMNS,
    MAX_QUEUE_SIZE,
    QUEUE_TIMEOUT_MS,
    THREADS,
)
from plumbline.serving.contract.versions import parameters_of, verified_manifest


@dataclass(frozen=True, slots=True)
class ServedVersion:
    """The folder and the settings that a model is loaded with."""

    model: str
    number: str
    folder: Path
    parameters: Mapping[str, str]
    """The config's parameters, with the hashes of this version."""
    precision: ScoringPrecision | None
    threads: int
    """Threads of each instance."""
    limits: Limits
    warmup_rows: int
    """Rows of the warm-up requests that Triton sends before the first request."""
    drift_columns: int
    """The most columns whose drift is measured."""
    has_drift_reference: bool
    gpu: int | None
    """The number of the GPU that the instance is for; None for one on the CPU."""

    @classmethod
    def open(cls, args: Mapping[str, str]) -> ServedVersion:
        """From the arguments that Triton passes to `initialize`; the folder's manifest is checked.

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
        is_on_gpu = args["model_instance_kind"] == "GPU"
        instances = sum(int(group["count"]) for group in config["instance_group"])
        manifest = verified_manifest(folder, version)
        return cls(
            model=model,
            number=number,
            folder=folder,
            parameters=parameters,
            precision=manifest.precision,
            threads=threads_of(parameters.get(THREADS, ""), instances),
            limits=Limits(
                requests=int(parameters[MAX_QUEUE_SIZE]),
                seconds=int(parameters[QUEUE_TIMEOUT_MS]) / 1000,
                rows=int(config["max_batch_size"]),
                call_seconds=0.0 if "dynamic_batching" in config else CALL_SECONDS,
            ),
            warmup_rows=sum(map(_rows_of, config.get("model_warmup", ()))),
            drift_columns=int(parameters.get(DRIFT_COLUMNS, "0")),
            has_drift_reference=REFERENCE_FILE in manifest.files,
            gpu=int(args["model_instance_device_id"]) if is_on_gpu else None,
        )


def _rows_of(warmup: Mapping[str, Any]) -> int:
    """The rows of a sample, which is sent `count` times. The config leaves zeros out or not."""
    return max(1, int(warmup.get("batch_size", 0))) * max(1, int(warmup.get("count", 0)))


def threads_of(setting: str, instances: int) -> int:
    """The setting; if it is empty, this process's cores divided by the number of instances.

    >>> threads_of("3", 2)
    3
    """
    return int(setting) if setting else max(1, cores() // instances)
