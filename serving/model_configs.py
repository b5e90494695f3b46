"""The four served models' configs, from a plan, the model's hash and the settings."""

from __future__ import annotations

from features.plan import Plan
from features.settings import Serving
from serving.config_pbtxt import EnsembleStep, ensemble_config, python_config
from serving.interface import (
    DLRM_MODEL,
    ENSEMBLE_MODEL,
    FEATURES_MODEL,
    FUSED_MODEL,
    MODEL_HASH,
    PROBABILITY,
    encoded_parameters,
    encoded_tensors,
    raw_parameters,
    raw_tensors,
)

WARMUP_ROWS = (1, 64, 1024)


def model_configs(plan: Plan, model_hash: str, settings: Serving) -> dict[str, str]:
    """Model name to the text of its `config.pbtxt`."""
    raw, encoded = raw_tensors(plan), encoded_tensors(plan)
    from_raw, from_encoded = raw_parameters(plan), encoded_parameters(plan)
    of_model = {MODEL_HASH: model_hash}
    return {
        FEATURES_MODEL: python_config(
            FEATURES_MODEL,
            raw,
            encoded,
            from_raw | from_encoded,
            max_batch_size=settings.max_batch_size,
            instances=settings.instances,
            warmup_rows=_warmup_rows(settings),
        ),
        DLRM_MODEL: python_config(
            DLRM_MODEL,
            encoded,
            [PROBABILITY],
            from_encoded | of_model,
            max_batch_size=settings.max_batch_size,
            instances=settings.instances,
            warmup_rows=_warmup_rows(settings),
        ),
        ENSEMBLE_MODEL: ensemble_config(
            ENSEMBLE_MODEL,
            raw,
            [PROBABILITY],
            from_raw | of_model,
            max_batch_size=settings.max_batch_size,
            steps=[
                EnsembleStep(FEATURES_MODEL, raw, encoded),
                EnsembleStep(DLRM_MODEL, encoded, (PROBABILITY,)),
            ],
        ),
        FUSED_MODEL: python_config(
            FUSED_MODEL,
            raw,
            [PROBABILITY],
            from_raw | of_model,
            max_batch_size=settings.max_batch_size,
            instances=settings.instances,
            warmup_rows=_warmup_rows(settings),
        ),
    }


def _warmup_rows(settings: Serving) -> list[int]:
    return [rows for rows in WARMUP_ROWS if rows <= settings.max_batch_size]
