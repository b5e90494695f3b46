"""Write the models' `config.pbtxt` from a plan, settings and versions, and read it.

Both use protobuf's text format. The same model always gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig, ModelInstanceGroup, ModelWarmup

from plumbline.base.files import write_text
from plumbline.dlrm.ops.scoring.precision import ScoringPrecision
from plumbline.features.plan.plan import Plan
from plumbline.serving.contract.gpu_interface import gpu_parameters, gpu_tensors
from plumbline.serving.contract.interface import (
    DLRM_MODEL,
    DRIFT_COLUMNS,
    ENSEMBLE_MODEL,
    FEATURES_MODEL,
    FORCE_CPU_INPUTS,
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
from plumbline.serving.contract.versions import (
    CONFIG_FILE,
    VERSIONS,
    Version,
    Versions,
    versions_to_json,
)
from plumbline.serving.errors import RepositoryError
from plumbline.settings import Serving

WARMUP_ROWS = (1, 64, 1024)
"""Batch sizes for the warm-up; the largest batch is added, and larger ones are left out."""

Tensors = Sequence[Tensor]


def model_configs(
    plan: Plan,
    settings: Serving,
    versions: Mapping[str, Versions],
    *,
    current: str,
    precision: ScoringPrecision,
) -> dict[str, str]:
    """Model name to the text of its config.

    Triton batches the requests of the fused model. The other two get theirs one after another from
    the ensemble, so a batcher would only cost time. A model that falls behind batches by itself
    (`plumbline.serving.backend.waiting`).

    Parameters
    ----------
    plan
        The plan of any version; all have the same tensors.
    versions
        Model name to its served versions.
    current
        The version that the ensemble runs. The parameters have its hashes and its log's rules.
    precision
        Precision of the current version; each manifest has that of its own version.
    """
    raw, encoded = raw_tensors(plan), encoded_tensors(plan)
    from_raw, from_encoded = raw_parameters(plan), encoded_parameters(plan)
    scored = {PRECISION: precision}

    def config(model: str, inputs: Tensors, outputs: Tensors, parameters: dict[str, str]) -> Any:
        return _config(model, inputs, outputs, parameters, versions[model], current, settings)

    features = config(FEATURES_MODEL, raw, encoded, from_raw | from_encoded)
    dlrm = config(DLRM_MODEL, encoded, [PROBABILITY], from_encoded | scored)
    ensemble = config(ENSEMBLE_MODEL, raw, [PROBABILITY], from_raw | scored)
    fused = config(FUSED_MODEL, raw, [PROBABILITY], from_raw | scored)
    for model, inputs in ((features, raw), (dlrm, encoded), (fused, raw)):
        _run_in_python(model, settings)
        _warm_up(model, inputs, settings)
    fused.dynamic_batching.SetInParent()
    _join(ensemble, current, raw, encoded)
    return _texts(features, dlrm, ensemble, fused)


def gpu_configs(
    plan: Plan, settings: Serving, number: str, versions: Mapping[str, Version]
) -> dict[str, str]:
    """Model name to the text of its config, for one version of each model of a GPU server.

    ONNX Runtime runs `ctr_dlrm`, and this project's kernels `ctr_fused` if there is a version of
    it. Both have one instance on each GPU, because every instance has all weights in GPU memory.
    With `settings.tensorrt`, ONNX Runtime passes to TensorRT the parts that TensorRT can run, in
    float32.
    """
    raw, encoded = raw_tensors(plan), gpu_tensors(plan)
    from_raw, from_encoded = raw_parameters(plan), gpu_parameters(plan)
    scored = {PRECISION: "fp32"}

    def config(model: str, inputs: Tensors, outputs: Tensors, parameters: dict[str, str]) -> Any:
        served = {number: versions[model]}
        return _config(model, inputs, outputs, parameters, served, number, settings)

    features = config(FEATURES_MODEL, raw, encoded, from_raw | from_encoded)
    dlrm = config(DLRM_MODEL, encoded, [PROBABILITY], from_encoded | scored)
    ensemble = config(ENSEMBLE_MODEL, raw, [PROBABILITY], from_raw | scored)
    batched = [(features, raw), (dlrm, encoded)]
    _run_in_python(features, settings)
    dlrm.backend = "onnxruntime"
    _run_on_each_gpu(dlrm)
    if settings.tensorrt:
        accelerators = dlrm.optimization.execution_accelerators.gpu_execution_accelerator
        accelerators.add(name="tensorrt", parameters={"precision_mode": "FP32"})
    if FUSED_MODEL in versions:
        own = from_raw | {PRECISION: settings.gpu_fused}
        fused = config(FUSED_MODEL, raw, [PROBABILITY], own)
        _run_in_python(fused, settings, on_gpu=True)
        batched.append((fused, raw))
    for model, inputs in batched:
        model.dynamic_batching.SetInParent()
        _warm_up(model, inputs, settings)
    _join(ensemble, number, raw, encoded)
    return _texts(ensemble, *(model for model, _ in batched))


def write_config(repository: Path, model: str, text: str) -> None:
    """Write a config atomically: Triton reads either the old or the new one."""
    write_text(repository / model / CONFIG_FILE, text)


def read_config(file: Path) -> Any:
    """The `ModelConfig` in a file.

    Raises
    ------
    RepositoryError
        There is no file, or it is not a model config.
    """
    if not file.is_file():
        raise RepositoryError.missing(str(file))
    try:
        return text_format.Parse(file.read_text(encoding="utf-8"), ModelConfig())
    except (text_format.ParseError, UnicodeDecodeError, RecursionError) as error:
        raise RepositoryError.wrong_content(str(file), "a model config", str(error)) from None


def parameters_in(config: Any) -> dict[str, str]:
    """The parameters of a `ModelConfig`."""
    return {key: value.string_value for key, value in config.parameters.items()}


def _config(
    name: str,
    inputs: Tensors,
    outputs: Tensors,
    parameters: Mapping[str, str],
    versions: Versions,
    current: str,
    settings: Serving,
) -> Any:
    """The parts of a config that all models have. Its hashes are those of the current version."""
    config = ModelConfig(name=name, max_batch_size=settings.max_batch_size)
    config.version_policy.specific.versions.extend(sorted(map(int, versions)))
    for tensors, field in ((inputs, config.input), (outputs, config.output)):
        for tensor in tensors:
            field.add(name=tensor.name, data_type=tensor.data_type, dims=_dims(tensor, -1))
    version = versions[current]
    own = {**parameters, PLAN_HASH: version.plan_hash, **version.rule_parameters}
    if version.model_hash is not None:
        own[MODEL_HASH] = version.model_hash
    _set_parameters(config, {**own, VERSIONS: versions_to_json(versions)})
    return config


def _set_parameters(config: Any, parameters: Mapping[str, str]) -> None:
    for key, value in parameters.items():
        config.parameters[key].string_value = value


def _dims(tensor: Tensor, longest: int) -> list[int]:
    return [len(tensor.columns), *([longest] if tensor.padded else [])]


def _run_in_python(config: Any, settings: Serving, *, on_gpu: bool = False) -> None:
    """Let Triton's Python backend run the model, on the CPU or with an instance for each GPU.

    With dynamic batching, the delay is Triton's default, 0: waiting requests are batched, and none
    waits for others. There is no queue policy, because the batcher sleeps through requests if there
    is one. The backend limits its queue itself (`plumbline.serving.backend.waiting`). Inputs come
    in the memory of the CPU also for a GPU: the CPU looks the values up.
    """
    config.backend = "python"
    if on_gpu:
        _run_on_each_gpu(config)
        _set_parameters(config, {FORCE_CPU_INPUTS: "yes"})
    else:
        config.instance_group.add(count=settings.instances, kind=ModelInstanceGroup.KIND_CPU)
    _set_parameters(
        config,
        {
            THREADS: str(settings.threads or ""),
            MAX_QUEUE_SIZE: str(settings.max_queue_size),
            QUEUE_TIMEOUT_MS: str(settings.queue_timeout_ms),
        },
    )
    if config.name != DLRM_MODEL:
        _set_parameters(config, {DRIFT_COLUMNS: str(settings.drift_columns)})


def _run_on_each_gpu(config: Any) -> None:
    config.instance_group.add(count=1, kind=ModelInstanceGroup.KIND_GPU)


def _warm_up(config: Any, inputs: Tensors, settings: Serving) -> None:
    """Add warm-up requests of zeros: batches of usual sizes and the largest."""
    largest = settings.max_batch_size
    for rows in (*(rows for rows in WARMUP_ROWS if rows < largest), largest):
        zeros = {
            tensor.name: ModelWarmup.Input(
                data_type=tensor.data_type, dims=_dims(tensor, 1), zero_data=True
            )
            for tensor in inputs
        }
        config.model_warmup.add(name=f"batch of {rows}", batch_size=rows, inputs=zeros)


def _join(config: Any, number: str, raw: Tensors, encoded: Tensors) -> None:
    """Make the model an ensemble of one version of `ctr_features` and `ctr_dlrm`.

    Tensors keep their names. The two models batch and warm up by themselves.
    """
    config.platform = "ensemble"
    for model, inputs, outputs in (
        (FEATURES_MODEL, raw, encoded),
        (DLRM_MODEL, encoded, (PROBABILITY,)),
    ):
        config.ensemble_scheduling.step.add(
            model_name=model,
            model_version=int(number),
            input_map=_same_names(inputs),
            output_map=_same_names(outputs),
        )


def _same_names(tensors: Iterable[Tensor]) -> dict[str, str]:
    return {tensor.name: tensor.name for tensor in tensors}


def _texts(*configs: Any) -> dict[str, str]:
    """Model name to text. Protobuf sorts map entries by key, so the text is always the same."""
    return {
        config.name: text_format.MessageToString(
            config, as_utf8=True, use_short_repeated_primitives=True
        )
        for config in configs
    }
