"""The client and the models read the parameters that the export writes into the configs."""

from dataclasses import replace
from pathlib import Path

import pytest

from plumbline.base.errors import PlanError
from plumbline.features.operators.fill_missing import FillMissing
from plumbline.features.operators.hash_bucket import HashBucket
from plumbline.features.plan.plan import InputColumn, OutputColumn, Plan
from plumbline.features.steps.chains import Chain
from plumbline.serving.contract.interface import (
    Tensor,
    check_raw_parameters,
    encoded_tensors,
    raw_parameters,
    read_wire_columns,
    wire_columns,
)
from plumbline.serving.errors import ServerError

INPUTS = (
    InputColumn("b", "hex"),
    InputColumn("a", "continuous"),
    InputColumn("é", "string"),
    InputColumn("c", "integer"),
    InputColumn("l", "hex_list"),
    InputColumn("m", "string_list"),
    InputColumn("n", "integer_list"),
)
OUTPUTS = (
    OutputColumn("a", Chain(("a",), (FillMissing(0.0),)), "float32"),
    OutputColumn("m", Chain(("m",), (HashBucket(5),)), "list<int64>"),
    OutputColumn("c", Chain(("c",), (HashBucket(7),)), "int64"),
)
PLAN = Plan(Path("plan"), INPUTS, OUTPUTS, "hash")


def test_the_client_reads_the_columns_that_the_export_wrote() -> None:
    found = read_wire_columns("ctr", raw_parameters(PLAN))
    assert found == wire_columns(PLAN)
    assert found.integer == ("b", "c")
    assert found.hexadecimal == {"b", "l"}
    assert (found.integer_list, found.string_list) == (("l", "n"), ("m",))


def test_lists_of_ids_are_a_tensor_of_their_own() -> None:
    assert encoded_tensors(PLAN) == (
        Tensor("ids", "TYPE_INT64", ("c",)),
        Tensor("list_ids", "TYPE_STRING", ("m",)),
        Tensor("dense", "TYPE_FP32", ("a",)),
    )


@pytest.mark.parametrize("parameters", [{}, {"kinds": "{"}])
def test_a_model_without_readable_kinds_is_refused(parameters: dict[str, str]) -> None:
    with pytest.raises(ServerError, match=r"Model 'other': .*'kinds'.*'ctr_fused'"):
        read_wire_columns("other", parameters)


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(ServerError, match=r"column 'x' is of kind 'image'.*continuous"):
        read_wire_columns("ctr", {"kinds": '{"x": "image"}'})


def test_a_plan_fits_only_its_own_config() -> None:
    parameters = raw_parameters(PLAN)
    check_raw_parameters(PLAN, {**parameters, "model_hash": "more is fine"})
    reordered = replace(PLAN, inputs=INPUTS[::-1])
    with pytest.raises(PlanError, match=r"does not fit the model's config .*categorical_int64"):
        check_raw_parameters(reordered, parameters)
    with pytest.raises(PlanError, match=r'plan_hash: was "other", is "hash"'):
        check_raw_parameters(replace(PLAN, content_hash="other"), parameters)
