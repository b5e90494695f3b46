"""The configs against golden files, and against Triton's own definition of them."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc.model_config_pb2 import DataType, ModelConfig

from plumbline.features.operators.categorify import Categorify
from plumbline.features.operators.fill_missing import FillMissing
from plumbline.features.plan.plan import InputColumn, OutputColumn, Plan, output_column
from plumbline.features.steps.chains import Chain
from plumbline.serving.contract.interface import LOG, TABLES
from plumbline.serving.contract.log_rules import LogRules
from plumbline.serving.contract.versions import Version, versions_from_json
from plumbline.serving.repository.configs import (
    model_configs,
    parameters_in,
    read_config,
    write_config,
)
from plumbline.settings import Log as ClickLog
from plumbline.settings import Serving, SideTable

GOLDEN = Path(__file__).parents[2] / "golden"
KINDS = {
    "shop": "string",
    "price": "continuous",
    "device": "hex",
    "hour": "integer",
    "views": "continuous",
    "tags": "string_list",
    "visited": "hex_list",
}
CASES = {
    "all_kinds": ("continuous", "integer", "hex", "string"),
    "no_continuous": ("integer", "hex", "string"),
    "no_categorical": ("continuous",),
    "lists": ("continuous", "string", "hex_list", "string_list"),
}
RULES = LogRules.of(
    ClickLog(columns={"y": "label", **KINDS}, separator="::", missing=("NA",), list_separator="|"),
    {"shops": SideTable(file="shops.csv", columns={"shop": "key", "views": "continuous"})},
    {"shops": "s" * 64},
)
MODELS = ("ctr_features", "ctr_dlrm", "ctr", "ctr_fused")


def output(inputs: tuple[InputColumn, ...], column: InputColumn) -> OutputColumn:
    file = f"vocabulary/{column.name}.parquet"
    is_number = column.kind == "continuous"
    step = FillMissing(0.0) if is_number else Categorify(0, None, 1, 9, file, "00", "00")
    return output_column(column.name, Chain((column.name,), (step,)), inputs)


def plan_of(*kinds: str) -> Plan:
    inputs = tuple(InputColumn(name, kind) for name, kind in KINDS.items() if kind in kinds)
    outputs = tuple(output(inputs, column) for column in inputs)
    return Plan(Path("nowhere"), inputs, outputs, "p" * 64)


def has_rules(case: str, model: str) -> bool:
    return case == "all_kinds" and model != "ctr_dlrm"


def configs(case: str, settings: Serving | None = None, current: str = "2") -> dict[str, str]:
    """Configs of two versions. The second is the plan's."""
    settings = settings or Serving(max_batch_size=512, instances=2, threads=3)
    versions = {
        model: {
            number: Version(
                plan_hash=plan * 64,
                model_hash=None if model == "ctr_features" else scorer * 64,
                manifest_sha256=None if model == "ctr" else manifest * 64,
                rules=RULES.to_json() if has_rules(case, model) and number == "2" else None,
            )
            for number, plan, scorer, manifest in (("2", "p", "m", "f"), ("1", "q", "n", "e"))
        }
        for model in MODELS
    }
    plan = plan_of(*CASES[case])
    return model_configs(plan, settings, versions, current=current, precision="bf16")


def parsed(text: str) -> ModelConfig:
    return text_format.Parse(text, ModelConfig())


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("case", CASES)
def test_configs_equal_the_golden_files(case: str, model: str) -> None:
    wanted = (GOLDEN / f"{case}.{model}.pbtxt").read_text(encoding="utf-8")
    assert configs(case)[model] == wanted


@pytest.mark.parametrize("case", CASES)
def test_configs_are_triton_model_configs(case: str) -> None:
    found = configs(case)
    assert tuple(found) == MODELS
    for name, text in found.items():
        config = parsed(text)
        assert config.name == name
        assert config.max_batch_size == 512
        backend = ("", "ensemble") if name == "ctr" else ("python", "")
        assert (config.backend, config.platform) == backend
        assert list(config.version_policy.specific.versions) == [1, 2]
        if name != "ctr":
            assert config.HasField("dynamic_batching") == (name == "ctr_fused")
            assert not config.dynamic_batching.HasField("default_queue_policy"), (
                "with one, the batcher sleeps through requests"
            )
            assert [group.count for group in config.instance_group] == [2]
            assert [warmup.batch_size for warmup in config.model_warmup] == [1, 64, 512]
            for warmup in config.model_warmup:
                assert set(warmup.inputs) == {tensor.name for tensor in config.input}


def test_the_ensemble_passes_the_tensors_of_its_models() -> None:
    found = {name: parsed(text) for name, text in configs("all_kinds").items()}
    first, second = found["ctr"].ensemble_scheduling.step
    assert (first.model_name, second.model_name) == ("ctr_features", "ctr_dlrm")
    assert (first.model_version, second.model_version) == (2, 2), "an answer is of one version"
    assert found["ctr"].input == found["ctr_features"].input == found["ctr_fused"].input
    given, taken = found["ctr_features"].output, found["ctr_dlrm"].input
    assert [str(tensor) for tensor in given] == [str(tensor) for tensor in taken]
    assert set(first.output_map) == set(second.input_map) == {"ids", "dense"}
    (output,) = found["ctr"].output
    assert (output.name, output.data_type, list(output.dims)) == (
        "click_probability",
        DataType.TYPE_FP32,
        [1],
    )


def test_tensors_without_columns_are_left_out() -> None:
    no_dense = {name: parsed(text) for name, text in configs("no_continuous").items()}
    assert [tensor.name for tensor in no_dense["ctr"].input] == [
        "categorical_int64",
        "categorical_bytes",
    ]
    assert [tensor.name for tensor in no_dense["ctr_dlrm"].input] == ["ids"]
    no_ids = {name: parsed(text) for name, text in configs("no_categorical").items()}
    assert [tensor.name for tensor in no_ids["ctr_features"].output] == ["dense"]


def test_lists_are_one_element_a_row_in_every_model() -> None:
    found = {name: parsed(text) for name, text in configs("lists").items()}
    raw = {tensor.name: tensor for tensor in found["ctr"].input}
    assert list(raw) == ["continuous", "categorical_bytes", "list_int64", "list_bytes"]
    for name in ("list_int64", "list_bytes"):
        assert (raw[name].data_type, list(raw[name].dims)) == (DataType.TYPE_STRING, [1])
    assert found["ctr"].input == found["ctr_features"].input == found["ctr_fused"].input
    between = {tensor.name: tensor for tensor in found["ctr_dlrm"].input}
    assert list(between) == ["ids", "list_ids", "dense"]
    assert (between["list_ids"].data_type, list(between["list_ids"].dims)) == (
        DataType.TYPE_STRING,
        [2],
    )
    first, second = found["ctr"].ensemble_scheduling.step
    assert set(first.output_map) == set(second.input_map) == {"ids", "list_ids", "dense"}
    parameters = {k: v.string_value for k, v in found["ctr_features"].parameters.items()}
    assert json.loads(parameters["list_ids_columns"]) == ["tags", "visited"]
    assert parameters["list_int64_null"] == parameters["list_bytes_null"] == ""
    assert parameters["list_int64_elements"] == (
        "little-endian int64, null is -9223372036854775808"
    )


def test_parameters_have_columns_nulls_and_hashes() -> None:
    parameters = {
        key: value.string_value
        for key, value in parsed(configs("all_kinds")["ctr_fused"]).parameters.items()
    }
    assert json.loads(parameters["continuous_columns"]) == ["price", "views"]
    assert json.loads(parameters["categorical_int64_columns"]) == ["device", "hour"]
    assert json.loads(parameters["categorical_bytes_columns"]) == ["shop"]
    wanted = [(name, kind) for name, kind in KINDS.items() if not kind.endswith("_list")]
    assert list(json.loads(parameters["kinds"]).items()) == wanted
    assert parameters["continuous_null"] == "NaN"
    assert parameters["categorical_int64_null"] == "-9223372036854775808"
    assert parameters["categorical_bytes_null"] == ""
    assert (parameters["plan_hash"], parameters["model_hash"]) == ("p" * 64, "m" * 64)


def test_warm_up_keeps_to_the_maximum_batch() -> None:
    config = parsed(configs("all_kinds", Serving(max_batch_size=32))["ctr_fused"])
    assert [warmup.batch_size for warmup in config.model_warmup] == [1, 32]


def test_the_parameters_list_every_version_and_have_the_current_ones_hashes() -> None:
    for current, plan_hash, model_hash in (("2", "p", "m"), ("1", "q", "n")):
        found = {
            n: parameters_in(parsed(text))
            for n, text in configs("all_kinds", None, current).items()
        }
        for model, parameters in found.items():
            assert parameters["plan_hash"] == plan_hash * 64
            assert set(versions_from_json(model, parameters["versions"])) == {"1", "2"}
            assert parameters.get("threads") == (None if model == "ctr" else "3")
            has_model = model != "ctr_features"
            assert parameters.get("model_hash") == (model_hash * 64 if has_model else None)
            assert parameters.get("precision") == ("bf16" if has_model else None)
        steps = parsed(configs("all_kinds", None, current)["ctr"]).ensemble_scheduling.step
        assert [step.model_version for step in steps] == [int(current)] * 2


@given(st.dictionaries(st.sampled_from([LOG, TABLES]), st.text(), min_size=1))
def test_any_text_is_read_as_it_was_written(rules: dict[str, str]) -> None:
    version = Version("p", "m", "f", rules)
    versions = {model: {"1": version} for model in MODELS}
    texts = model_configs(plan_of("continuous"), Serving(), versions, current="1", precision="fp32")
    with TemporaryDirectory() as folder:
        write_config(Path(folder), "ctr", texts["ctr"])
        parameters = parameters_in(read_config(Path(folder) / "ctr" / "config.pbtxt"))
    assert {name: json.loads(parameters[name]) for name in rules} == rules
    assert versions_from_json("ctr", parameters["versions"]) == {"1": version}


def test_models_that_take_raw_columns_have_the_rules_of_the_log() -> None:
    for model, text in configs("all_kinds").items():
        parameters = parameters_in(parsed(text))
        assert ("log" in parameters) == has_rules("all_kinds", model)
        assert LogRules.of_parameters(model, parameters) == (
            RULES if has_rules("all_kinds", model) else None
        )
    for text in configs("all_kinds", current="1").values():
        assert "log" not in parameters_in(parsed(text)), "they are the current version's"
