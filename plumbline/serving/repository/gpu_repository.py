"""Export a second model repository, for a server with a GPU.

| model | backend | version folder |
|---|---|---|
| `ctr_features` | python, on the CPU | `model.py`, `plan/`, `check.arrow`, `manifest.json` |
| `ctr_dlrm` | onnxruntime, on each GPU | `model.onnx`, `model/`, `check.arrow`, `manifest.json` |
| `ctr` | ensemble of the two | empty |
| `ctr_fused` | python, on each GPU | as `ctr_features`, and `model/` |

`ctr_fused` is there unless `serving.gpu_fused` is none. `plan/`, `model/` and the reference of
drift, if there is one, are the files of the first repository, as hard links if the file system has
them. A model in int8 is replaced by the
trained one: the graph computes in float32. ONNX Runtime checks no hashes, so `serving.verify` must,
before the server starts.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from plumbline.base.errors import ConfigError
from plumbline.base.paths import ROOT
from plumbline.columns.wire import Tensors
from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.model.model_card import CARD_FILE, WEIGHTS_FILE, read_model_card
from plumbline.dlrm.onnx.export import write_onnx
from plumbline.dlrm.ops.scoring.cuda import CudaPrecision
from plumbline.dlrm.score.scorer import Scorer
from plumbline.features.drift.reference import REFERENCE_FILE
from plumbline.features.encoding.encoder import Encoded
from plumbline.features.plan.plan import PLAN_FILE, Plan, read_plan
from plumbline.serving.contract.check_rows import CHECK_FILE, CheckRows
from plumbline.serving.contract.gpu_interface import to_gpu_tensors
from plumbline.serving.contract.interface import (
    DLRM_MODEL,
    ENSEMBLE_MODEL,
    FEATURES_MODEL,
    FUSED_MODEL,
)
from plumbline.serving.contract.outputs import from_encoded_tensors, scored
from plumbline.serving.contract.versions import (
    COMPILED,
    CONFIG_FILE,
    ENTRY_FILE,
    MODEL_FOLDER,
    ONNX_FILE,
    PLAN_FOLDER,
    VERSIONS,
    Rules,
    Version,
    versions_from_json,
    write_integrity,
    write_manifest,
)
from plumbline.serving.errors import RepositoryError
from plumbline.serving.repository.configs import (
    gpu_configs,
    parameters_in,
    read_config,
    write_config,
)
from plumbline.serving.repository.export import FIRST_VERSION, built_beside
from plumbline.serving.repository.onnx_check import check_onnx
from plumbline.serving.repository.release import link_or_copy
from plumbline.settings import Serving

GPU_REPOSITORY_FOLDER = "gpu_model_repository"

TENSORRT_BYTES = 1 << 31
"""ONNX Runtime passes TensorRT one protobuf message, with the weights; its limit is 2 GiB."""


def export_gpu_repository(repository: Path, settings: Serving, trained: Path | None = None) -> Path:
    """Write `gpu_model_repository` beside an exported repository.

    An existing one is replaced. The ONNX model is run on the check rows first; `ctr_fused` runs
    them on the GPU when it is loaded.

    Raises
    ------
    ConfigError
        `settings.tensorrt` is on, and the weights are too large for it.
    ModelError
        The repository's model is in int8, and `trained` is not the model that was quantized.
    RepositoryError
        The ONNX model's probabilities differ from the scorer's.
    """
    encoder, dlrm = (repository / name / FIRST_VERSION for name in (FEATURES_MODEL, DLRM_MODEL))
    exported = dlrm / MODEL_FOLDER
    model = _float_model(exported, trained)
    plan = read_plan(encoder / PLAN_FOLDER)
    if settings.tensorrt:
        _check_size(model / WEIGHTS_FILE)
    folder = repository.with_name(GPU_REPOSITORY_FOLDER)
    with built_beside(folder) as built:
        to_encoder, to_model, to_ensemble = (
            built / name / FIRST_VERSION for name in (FEATURES_MODEL, DLRM_MODEL, ENSEMBLE_MODEL)
        )
        to_ensemble.mkdir(parents=True)
        shutil.copytree(encoder / PLAN_FOLDER, to_encoder / PLAN_FOLDER, copy_function=link_or_copy)
        # A trained model is not linked to, since a later run of its stage may write to it.
        copy = link_or_copy if model == exported else shutil.copyfile
        shutil.copytree(model, to_model / MODEL_FOLDER, copy_function=copy)
        raw, encoded = _encoded_rows(encoder, model)
        between, probability = to_gpu_tensors(encoded), _scored(model, plan, encoded, "fp32")
        rules = _rules(repository)
        versions = {
            FEATURES_MODEL: _encoder_version(
                encoder, to_encoder, plan, CheckRows(raw, between), rules
            ),
            DLRM_MODEL: _model_version(to_model, plan, CheckRows(between, probability)),
        }
        model_hash = versions[DLRM_MODEL].model_hash
        versions[ENSEMBLE_MODEL] = Version(plan.content_hash, model_hash, None, rules)
        if settings.gpu_fused != "none":
            check = CheckRows(raw, _scored(model, plan, encoded, settings.gpu_fused))
            versions[FUSED_MODEL] = _fused_version(built, plan, settings.gpu_fused, check, rules)
        for name, config in gpu_configs(plan, settings, FIRST_VERSION, versions).items():
            write_config(built, name, config)
        write_integrity(built, {name: {FIRST_VERSION: v} for name, v in versions.items()})
    return folder


def _encoded_rows(encoder: Path, model: Path) -> tuple[Tensors, Encoded]:
    """The check rows: raw, and encoded."""
    check = CheckRows.read(encoder / CHECK_FILE)
    return check.inputs, from_encoded_tensors(check.outputs, read_model_card(model).architecture)


def _scored(model: Path, plan: Plan, encoded: Encoded, precision: CudaPrecision) -> Tensors:
    return scored(Scorer.load(model, plan.content_hash, precision=precision), encoded)


def _rules(repository: Path) -> Rules | None:
    """The log's rules, from the first repository's config."""
    parameters = parameters_in(read_config(repository / FEATURES_MODEL / CONFIG_FILE))
    listed = parameters.get(VERSIONS, "")
    versions = versions_from_json(FEATURES_MODEL, listed)
    if FIRST_VERSION not in versions:
        wanted = f"version {FIRST_VERSION} in its config"
        raise RepositoryError.wrong_content(str(repository / FEATURES_MODEL), wanted, "it has none")
    return versions[FIRST_VERSION].rules


def _encoder_version(
    source: Path, folder: Path, plan: Plan, check: CheckRows, rules: Rules | None
) -> Version:
    _write_entry(folder, FEATURES_MODEL, check)
    files = [ENTRY_FILE, CHECK_FILE, f"{PLAN_FOLDER}/{PLAN_FILE}", *_linked_drift(source, folder)]
    return write_manifest(folder, plan.content_hash, None, None, files, rules)


def _fused_version(
    repository: Path, plan: Plan, precision: CudaPrecision, check: CheckRows, rules: Rules | None
) -> Version:
    """Plan and model are those of the other two models."""
    folder = repository / FUSED_MODEL / FIRST_VERSION
    for model, part in ((FEATURES_MODEL, PLAN_FOLDER), (DLRM_MODEL, MODEL_FOLDER)):
        source = repository / model / FIRST_VERSION / part
        shutil.copytree(source, folder / part, copy_function=link_or_copy)
    _write_entry(folder, FUSED_MODEL, check)
    model_hash = read_model_card(folder / MODEL_FOLDER).model_hash
    parts = [f"{PLAN_FOLDER}/{PLAN_FILE}", f"{MODEL_FOLDER}/{CARD_FILE}"]
    drift = _linked_drift(repository / FEATURES_MODEL / FIRST_VERSION, folder)
    files = [ENTRY_FILE, CHECK_FILE, *parts, *drift]
    return write_manifest(folder, plan.content_hash, model_hash, precision, files, rules)


def _linked_drift(source: Path, folder: Path) -> list[str]:
    """Take the reference of drift over from another version, if that has one; its name."""
    if not (source / REFERENCE_FILE).is_file():
        return []
    link_or_copy(source / REFERENCE_FILE, folder / REFERENCE_FILE)
    return [REFERENCE_FILE]


def _write_entry(folder: Path, model: str, check: CheckRows) -> None:
    """What the Python backend runs, and the check rows."""
    entry = ROOT / "serving" / "gpu_models" / f"{model}.py"
    shutil.copyfile(entry, folder / ENTRY_FILE)
    (folder / COMPILED).touch()
    check.write(folder / CHECK_FILE)


def _model_version(folder: Path, plan: Plan, check: CheckRows) -> Version:
    write_onnx(folder / MODEL_FOLDER, folder / ONNX_FILE)
    check_onnx(folder / ONNX_FILE, check)
    check.write(folder / CHECK_FILE)
    files = [ONNX_FILE, CHECK_FILE, f"{MODEL_FOLDER}/{CARD_FILE}"]
    model_hash = read_model_card(folder / MODEL_FOLDER).model_hash
    return write_manifest(folder, plan.content_hash, model_hash, "fp32", files)


def _float_model(exported: Path, trained: Path | None) -> Path:
    """The exported model, or the trained one that it was quantized from."""
    wanted = read_model_card(exported).quantized_from
    if wanted is None:
        return exported
    got = None if trained is None else read_model_card(trained).model_hash
    if trained is None or got != wanted:
        raise ModelError(
            f"{exported / CARD_FILE}: the model is in int8, which ONNX cannot express: wanted the "
            f"trained model {wanted[:12]}… for the GPU's repository, got "
            f"{'none' if got is None else f'{got[:12]}…'}. Give the folder of the trained model."
        )
    return trained


def _check_size(weights: Path) -> None:
    size = weights.stat().st_size
    if size >= TENSORRT_BYTES:
        raise ConfigError(
            f"serving.tensorrt: wanted weights of less than 2 GB, got {size / 1e9:.1f} GB "
            f"({weights}). Turn it off: ONNX Runtime runs on the GPU without it."
        )
