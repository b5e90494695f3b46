"""The configs of the three models of a GPU server."""

from __future__ import annotations

from collections.abc import Mapping

from plumbline.features.plan.plan import Plan
from plumbline.serving.contract.config_pbtxt import (
    EnsembleStep,
    ensemble_config,
    onnx_config,
    python_config,
)
from plumbline.serving.contract.gpu_interface import gpu_parameters, gpu_tensors
from plumbline.serving.contract.interface import (
    DLRM_MODEL,
    ENSEMBLE_MODEL,
    FEATURES_MODEL,
    MODEL_HASH,
    PRECISION,
    PROBABILITY,
    raw_parameters,
    raw_tensors,
)
from plumbline.serving.contract.versions import VERSIONS, Version, versions_to_json
from plumbline.serving.repository.model_configs import step_parameters, warmup_rows
from plumbline.settings import Serving


def gpu_configs(
    plan: Plan, settings: Serving, number: str, versions: Mapping[str, Version]
) -> dict[str, str]:
    """Model name to the text of its `config.pbtxt`, for one version of each of the models."""
    raw, between = raw_tensors(plan), gpu_tensors(plan)
    from_raw, from_encoded = raw_parameters(plan), gpu_parameters(plan)
    of_model = {MODEL_HASH: str(versions[DLRM_MODEL].model_hash), PRECISION: "fp32"}
    listed = {
        model: {VERSIONS: versions_to_json({number: version}), **version.rule_parameters}
        for model, version in versions.items()
    }
    return {
        FEATURES_MODEL: python_config(
            FEATURES_MODEL,
            raw,
            between,
            from_raw | from_encoded | step_parameters(settings) | listed[FEATURES_MODEL],
            versions=[number],
            max_batch_size=settings.max_batch_size,
            instances=settings.instances,
            warmup_rows=warmup_rows(settings),
        ),
        DLRM_MODEL: onnx_config(
            DLRM_MODEL,
            between,
            [PROBABILITY],
            from_encoded | of_model | listed[DLRM_MODEL],
            versions=[number],
            max_batch_size=settings.max_batch_size,
            warmup_rows=warmup_rows(settings),
            tensorrt=settings.tensorrt,
        ),
        ENSEMBLE_MODEL: ensemble_config(
            ENSEMBLE_MODEL,
            raw,
            [PROBABILITY],
            from_raw | of_model | listed[ENSEMBLE_MODEL],
            versions=[number],
            max_batch_size=settings.max_batch_size,
            steps=[
                EnsembleStep(FEATURES_MODEL, number, raw, between),
                EnsembleStep(DLRM_MODEL, number, between, (PROBABILITY,)),
            ],
        ),
    }
