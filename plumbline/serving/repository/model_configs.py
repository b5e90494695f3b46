"""The four served models' configs, from a plan, the settings and the versions that are served."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from plumbline.dlrm.ops.scoring.precision import ScoringPrecision
from plumbline.features.plan.plan import Plan
from plumbline.serving.contract.config_pbtxt import EnsembleStep, ensemble_config, python_config
from plumbline.serving.contract.interface import (
    DLRM_MODEL,
    ENSEMBLE_MODEL,
    FEATURES_MODEL,
    FUSED_MODEL,
    MAX_QUEUE_SIZE,
    MODEL_HASH,
    PLAN_HASH,
    PRECISION,
    PROBABILITY,
    QUEUE_TIMEOUT_MS,
    THREADS,
    Tensor,
    encoded_parameters,
    encoded_tensors,
    raw_parameters,
    raw_tensors,
)
from plumbline.serving.contract.versions import VERSIONS, Versions, versions_to_json
from plumbline.settings import Serving

WARMUP_ROWS = (1, 64, 1024)
"""And the largest batch."""


def model_configs(
    plan: Plan,
    settings: Serving,
    versions: Mapping[str, Versions],
    *,
    current: str,
    precision: ScoringPrecision,
) -> dict[str, str]:
    """Model name to the text of its `config.pbtxt`.

    Triton batches for the fused step. The requests of the other two come one after another as the
    ensemble gets them, where its batcher only costs time; a step that is behind batches itself
    (`plumbline.serving.backend.waiting`).

    Parameters
    ----------
    plan
        That of any of the versions: they have the same tensors.
    versions
        Model name to the versions of it that are to be served.
    current
        The version whose steps the ensemble joins, and whose hashes and rules of the log the
        parameters tell.
    precision
        Of the current version's model; each version's manifest tells its own.
    """
    raw, encoded = raw_tensors(plan), encoded_tensors(plan)
    from_raw, from_encoded = raw_parameters(plan), encoded_parameters(plan)
    of_model = {PRECISION: precision}
    of_step = step_parameters(settings)

    def parameters(model: str, *parts: Mapping[str, str]) -> dict[str, str]:
        joined = {key: value for part in parts for key, value in part.items()}
        version = versions[model][current]
        joined[PLAN_HASH] = version.plan_hash
        if version.model_hash is not None:
            joined[MODEL_HASH] = version.model_hash
        joined |= version.rule_parameters
        return {**joined, VERSIONS: versions_to_json(versions[model])}

    def step(
        model: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor], *parts: Mapping[str, str]
    ) -> str:
        return python_config(
            model,
            inputs,
            outputs,
            parameters(model, *parts, of_step),
            versions=versions[model],
            max_batch_size=settings.max_batch_size,
            instances=settings.instances,
            is_batched=model == FUSED_MODEL,
            warmup_rows=warmup_rows(settings),
        )

    return {
        FEATURES_MODEL: step(FEATURES_MODEL, raw, encoded, from_raw, from_encoded),
        DLRM_MODEL: step(DLRM_MODEL, encoded, [PROBABILITY], from_encoded, of_model),
        ENSEMBLE_MODEL: ensemble_config(
            ENSEMBLE_MODEL,
            raw,
            [PROBABILITY],
            parameters(ENSEMBLE_MODEL, from_raw, of_model),
            versions=versions[ENSEMBLE_MODEL],
            max_batch_size=settings.max_batch_size,
            steps=[
                EnsembleStep(FEATURES_MODEL, current, raw, encoded),
                EnsembleStep(DLRM_MODEL, current, encoded, (PROBABILITY,)),
            ],
        ),
        FUSED_MODEL: step(FUSED_MODEL, raw, [PROBABILITY], from_raw, of_model),
    }


def step_parameters(settings: Serving) -> dict[str, str]:
    """The config parameters that a step of ours reads its limits from."""
    return {
        THREADS: str(settings.threads or ""),
        MAX_QUEUE_SIZE: str(settings.max_queue_size),
        QUEUE_TIMEOUT_MS: str(settings.queue_timeout_ms),
    }


def warmup_rows(settings: Serving) -> list[int]:
    """The numbers of rows that a step is warmed up with: some usual ones, and the largest."""
    return [rows for rows in WARMUP_ROWS if rows < settings.max_batch_size] + [
        settings.max_batch_size
    ]
