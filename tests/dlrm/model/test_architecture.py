from __future__ import annotations

import json
from dataclasses import replace

import pytest

from plumbline.base.errors import ConfigError
from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.model.architecture import Architecture
from plumbline.settings import Model

SETTINGS = Model(embedding_dim=4, bottom_mlp=(8, 4), top_mlp=(16,))


def test_of_keeps_plan_order(world):
    assert world.architecture == Architecture(
        categorical=("zebra", "C2", "C10", "C1", "apple"),
        cardinalities=(23, 9, 11, 5, 7),
        continuous=("I1", "I2", "I10"),
        embedding_dim=4,
        bottom_mlp=(8, 4),
        top_mlp=(16, 8),
    )
    assert world.architecture.top_input == 24  # 4 + 6·5/2 = 19, up to a multiple of 8


def test_without_continuous_columns_there_is_no_bottom(plan_of):
    architecture = Architecture.of(plan_of({"a": 5, "b": 6, "c": 7}, ()), SETTINGS)
    assert architecture.bottom_mlp == ()
    assert architecture.top_input == 8


def test_without_categorical_columns_the_bottom_goes_into_the_top(plan_of):
    assert Architecture.of(plan_of({}, ("x", "y")), SETTINGS).top_input == 4


@pytest.mark.parametrize("categorical", [{}, {"a": 5}])
def test_refuses_what_has_no_interaction(plan_of, categorical):
    with pytest.raises(ConfigError, match="at least two categorical columns or one continuous"):
        Architecture.of(plan_of(categorical, ()), SETTINGS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cardinalities": (1, 2)}, "a cardinality for each of 5 categorical columns, got 2"),
        ({"bottom_mlp": (8, 5)}, r"has to end in embedding_dim 4, got \[8, 5\]"),
        ({"continuous": ()}, "a bottom MLP without continuous columns"),
        ({"bags": ("x",)}, "wanted bags among the categorical columns, in their order, got x"),
        ({"bags": ("apple", "C2")}, "wanted bags among .*, got apple, C2"),
    ],
)
def test_refuses_parts_that_do_not_fit(world, change, message):
    with pytest.raises(ConfigError, match=message):
        replace(world.architecture, **change)


def test_json_there_and_back(world):
    content = json.loads(json.dumps(world.architecture.to_json()))
    assert Architecture.from_json(content, "model.json") == world.architecture


def test_bad_json_names_the_file(world):
    content = world.architecture.to_json()
    del content["continuous"]
    with pytest.raises(ModelError, match=r"model\.json: not a trained model.*continuous"):
        Architecture.from_json(content, "model.json")


def test_lists_are_bags(list_world):
    architecture = list_world.architecture
    assert architecture.categorical == ("zebra", "tags", "C2", "apple")
    assert (architecture.single, architecture.bags) == (("zebra", "C2"), ("tags", "apple"))
    assert architecture.bag == "mean"
    summed = Architecture.of(list_world.plan, SETTINGS.model_copy(update={"bag": "sum"}))
    assert Architecture.from_json(json.loads(json.dumps(summed.to_json())), "x") == summed


def test_weighted_positions_are_stored_with_their_number_and_other_bags_as_before(list_world):
    weighted = replace(list_world.architecture, bag="position_weighted", bag_positions=7)
    content = json.loads(json.dumps(weighted.to_json()))
    assert content["bag_positions"] == 7
    assert Architecture.from_json(content, "x") == weighted
    assert "bag_positions" not in list_world.architecture.to_json()


@pytest.mark.parametrize(
    ("bag", "positions"), [("position_weighted", None), ("position_weighted", 0), ("sum", 3)]
)
def test_a_number_of_positions_that_does_not_fit_the_bag_is_refused(world, bag, positions):
    with pytest.raises(ConfigError, match=rf"wanted bag_positions.*got {positions} with bag {bag}"):
        replace(world.architecture, bag=bag, bag_positions=positions)


def test_an_unknown_bag_names_the_file(world):
    with pytest.raises(
        ModelError, match=r"model\.json: .*bag: wanted one of mean, sum, max, .* got 'min'"
    ):
        Architecture.from_json({**world.architecture.to_json(), "bag": "min"}, "model.json")
