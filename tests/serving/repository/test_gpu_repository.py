"""The GPU server's repository: its ONNX model takes the ids that its feature model returns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pyarrow as pa
import pytest
from tritonclient.grpc.model_config_pb2 import DataType, ModelConfig

from plumbline.base.errors import ConfigError
from plumbline.columns.wire import to_tensors
from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.model.dlrm import DLRM
from plumbline.dlrm.model.weights import save_model
from plumbline.dlrm.score.quantized_model import write_quantized_model
from plumbline.dlrm.score.scorer import Scorer
from plumbline.features.encoding.online import OnlineExecutor
from plumbline.features.operators.fill_missing import FillMissing
from plumbline.features.plan.plan import Plan, read_plan
from plumbline.serving.contract.check_rows import CheckRows
from plumbline.serving.contract.gpu_interface import to_gpu_tensors
from plumbline.serving.contract.interface import CLICK_PROBABILITY, wire_columns
from plumbline.serving.contract.versions import verify_repository
from plumbline.serving.errors import RepositoryError
from plumbline.serving.repository import gpu_repository, onnx_check
from plumbline.serving.repository.configs import read_config
from plumbline.serving.repository.gpu_repository import export_gpu_repository
from plumbline.settings import Model, Serving
from tests.plans import categorify, plan_of
from tests.serving.releases import export_repository

KINDS = {
    "price": "continuous",
    "shop": "integer",
    "tags": "string_list",
    "seen": "integer_list",
}
ROWS = pa.table(
    {
        "price": [1.5, None, -3.0, 0.25],
        "shop": [3, None, 99, 4],
        "tags": [["a"], [], None, ["b", "zzz", "a", None, "b"]],
        "seen": [[7, 8], [7], [], [1]],
    }
)

FORMS = {"all": KINDS, "no_lists": {"price": "continuous", "shop": "integer"}}
FORMS["only_lists"] = {"tags": "string_list", "seen": "integer_list"}
FORMS["only_numbers"] = {"price": "continuous"}
SETTINGS = Serving(max_batch_size=64, precision="fp32")
ELEMENTS = {"tensor(int64)": DataType.TYPE_INT64, "tensor(float)": DataType.TYPE_FP32}


def small_plan(folder: Path, kinds: dict[str, str]) -> Plan:
    steps = {"price": lambda: FillMissing(0.0)}
    steps["shop"] = lambda: categorify(folder, "shop", [3, 4, 5])
    steps["tags"] = lambda: categorify(folder, "tags", ["a", "b"])
    steps["seen"] = lambda: categorify(folder, "seen", [7, 8, 9])
    return plan_of(folder, dict(kinds), **{name: (name, steps[name]()) for name in kinds})


def exported(tmp_path: Path, kinds: dict[str, str], settings: Serving = SETTINGS) -> Path:
    plan = small_plan(tmp_path / "plan", kinds)
    sizes = Model(embedding_dim=4, bottom_mlp=(4,), top_mlp=(4,))
    model = DLRM(Architecture.of(plan, sizes), seed=1)
    save_model(tmp_path / "model", model, plan.content_hash)
    rows = ROWS.select(list(kinds))
    repository = export_repository(plan, tmp_path / "model", tmp_path / "out", settings, rows)
    return export_gpu_repository(repository, settings)


def config(repository: Path, model: str) -> ModelConfig:
    return read_config(repository / model / "config.pbtxt")


@pytest.mark.parametrize("form", FORMS)
def test_onnx_runtime_scores_what_the_exported_plan_encodes(tmp_path: Path, form: str) -> None:
    kinds = FORMS[form]
    repository = exported(tmp_path, kinds)
    plan = read_plan(repository / "ctr_features" / "1" / "plan")
    raw = to_tensors(ROWS.select(list(kinds)), wire_columns(plan))
    encoded = OnlineExecutor(plan).transform(raw)
    session = onnxruntime.InferenceSession(repository / "ctr_dlrm" / "1" / "model.onnx")
    (got_B1,) = session.run(None, to_gpu_tensors(encoded))
    scorer = Scorer.load(tmp_path / "model", plan.content_hash)
    wanted_B = scorer.score(encoded.ids_BF, encoded.dense_BC, encoded.bags)
    np.testing.assert_allclose(got_B1[:, 0], wanted_B, rtol=0, atol=1e-6)

    check = CheckRows.read(repository / "ctr_dlrm" / "1" / "check.arrow")
    check.compare({CLICK_PROBABILITY: got_B1}, "fp32", "check.arrow")


@pytest.mark.parametrize("form", FORMS)
def test_the_configs_have_the_tensors_of_the_onnx_model(tmp_path: Path, form: str) -> None:
    repository = exported(tmp_path, FORMS[form])
    session = onnxruntime.InferenceSession(repository / "ctr_dlrm" / "1" / "model.onnx")
    dlrm = config(repository, "ctr_dlrm")
    for listed, found in ((dlrm.input, session.get_inputs()), (dlrm.output, session.get_outputs())):
        of_graph = {
            tensor.name: (
                ELEMENTS[tensor.type],
                [size if isinstance(size, int) else -1 for size in tensor.shape[1:]],
            )
            for tensor in found
        }
        assert {tensor.name: (tensor.data_type, list(tensor.dims)) for tensor in listed} == of_graph
    given = config(repository, "ctr_features").output
    assert [str(tensor) for tensor in given] == [str(tensor) for tensor in dlrm.input]


def test_the_configs_of_a_gpu_server(tmp_path: Path) -> None:
    repository = exported(tmp_path, KINDS)
    assert sorted(folder.name for folder in repository.iterdir()) == [
        "ctr",
        "ctr_dlrm",
        "ctr_features",
        "integrity.json",
    ]
    dlrm = config(repository, "ctr_dlrm")
    assert (dlrm.backend, dlrm.max_batch_size) == ("onnxruntime", 64)
    (group,) = dlrm.instance_group
    assert (group.count, group.KIND_GPU) == (1, group.kind)
    assert dlrm.HasField("dynamic_batching")
    assert [warmup.batch_size for warmup in dlrm.model_warmup] == [1, 64]
    assert list(dlrm.model_warmup[0].inputs["padded_ids"].dims) == [2, 1]
    assert not dlrm.HasField("optimization")
    assert dlrm.parameters["padded_ids_padding"].string_value == "-1"
    features = config(repository, "ctr_features")
    assert features.backend == "python"
    assert features.instance_group[0].kind == features.instance_group[0].KIND_CPU
    first, second = config(repository, "ctr").ensemble_scheduling.step
    assert (first.model_name, second.model_name) == ("ctr_features", "ctr_dlrm")
    assert set(first.output_map) == set(second.input_map) == {"ids", "padded_ids", "dense"}
    raw = config(repository.with_name("model_repository"), "ctr")
    assert [str(tensor) for tensor in raw.input] == [
        str(tensor) for tensor in config(repository, "ctr").input
    ]


def test_weights_are_stored_once_for_both_repositories(tmp_path: Path) -> None:
    repository = exported(tmp_path, KINDS)
    weights = "ctr_dlrm/1/model/model.safetensors"
    assert (repository / weights).samefile(repository.with_name("model_repository") / weights)


def test_tensorrt_is_a_setting_for_weights_that_it_can_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = SETTINGS.model_copy(update={"tensorrt": True})
    dlrm = config(exported(tmp_path, KINDS, settings), "ctr_dlrm")
    (accelerator,) = dlrm.optimization.execution_accelerators.gpu_execution_accelerator
    assert accelerator.name == "tensorrt"
    assert dict(accelerator.parameters) == {"precision_mode": "FP32"}
    monkeypatch.setattr(gpu_repository, "TENSORRT_BYTES", 100)
    with pytest.raises(ConfigError, match=r"serving\.tensorrt: wanted weights of less than 2 GB"):
        export_gpu_repository(tmp_path / "out" / "model_repository", settings)


def test_an_onnx_model_that_computes_something_else_is_not_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = exported(tmp_path, KINDS)
    monkeypatch.setattr(onnx_check, "TOLERANCE", -1.0)
    with pytest.raises(RepositoryError, match=r"model\.onnx: wanted the scorer's probabilities"):
        export_gpu_repository(repository.with_name("model_repository"), SETTINGS)
    assert sorted(entry.name for entry in repository.parent.iterdir()) == [
        "gpu_model_repository",
        "model_repository",
    ]


def test_a_model_in_int8_is_exported_as_it_was_trained(tmp_path: Path) -> None:
    plan = small_plan(tmp_path / "plan", KINDS)
    sizes = Model(embedding_dim=4, bottom_mlp=(4,), top_mlp=(4,))
    for seed in (1, 2):
        model = DLRM(Architecture.of(plan, sizes), seed=seed)
        save_model(tmp_path / f"model_{seed}", model, plan.content_hash)
    trained = tmp_path / "model_1"
    write_quantized_model(trained, tmp_path / "int8_model")
    settings = Serving(max_batch_size=64, precision="int8", gpu_fused="fp32")
    model_folder = tmp_path / "int8_model"
    repository = export_repository(plan, model_folder, tmp_path / "out", settings, ROWS)
    for other, got in ((None, "none"), (tmp_path / "model_2", r"\w{12}…")):
        with pytest.raises(ModelError, match=f"int8, which ONNX cannot express.* got {got}"):
            export_gpu_repository(repository, settings, other)
    gpu = export_gpu_repository(repository, settings, trained)
    assert verify_repository(gpu, large_files=True) == 4
    weights = "ctr_dlrm/1/model/model.safetensors"
    assert (gpu / weights).read_bytes() == (trained / "model.safetensors").read_bytes()
    assert not (gpu / weights).samefile(trained / "model.safetensors")
    assert (gpu / "ctr_fused/1/model/model.safetensors").samefile(gpu / weights)
    served = (repository / weights).read_bytes()
    assert served == (model_folder / "model.safetensors").read_bytes()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_fused_model_of_a_gpu_server(tmp_path: Path, precision: str) -> None:
    repository = exported(tmp_path, KINDS, SETTINGS.model_copy(update={"gpu_fused": precision}))
    assert verify_repository(repository, large_files=True) == 4
    fused, on_cpu = (
        config(folder, "ctr_fused")
        for folder in (repository, repository.with_name("model_repository"))
    )
    assert fused.backend == "python" and fused.HasField("dynamic_batching")
    (group,) = fused.instance_group
    assert (group.count, group.kind) == (1, group.KIND_GPU)
    parameters, wanted = (
        {key: value.string_value for key, value in one.parameters.items()}
        for one in (fused, on_cpu)
    )
    assert parameters.pop("FORCE_CPU_ONLY_INPUT_TENSORS") == "yes"
    assert parameters.pop("precision") == precision and wanted.pop("precision") == "fp32"
    del parameters["versions"], wanted["versions"]
    assert parameters == wanted
    for field in ("input", "output", "model_warmup"):
        assert [str(one) for one in getattr(fused, field)] == [
            str(one) for one in getattr(on_cpu, field)
        ]
    folder = repository / "ctr_fused" / "1"
    weights = "model/model.safetensors"
    assert (folder / weights).samefile(repository / "ctr_dlrm" / "1" / weights)
    check = CheckRows.read(folder / "check.arrow")
    dlrm = CheckRows.read(repository / "ctr_dlrm" / "1" / "check.arrow")
    tolerance = 0 if precision == "fp32" else 2e-2
    np.testing.assert_allclose(
        check.outputs[CLICK_PROBABILITY], dlrm.outputs[CLICK_PROBABILITY], rtol=0, atol=tolerance
    )
