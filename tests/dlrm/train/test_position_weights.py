"""Training of the weights of a list's positions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.model.weights import load_model
from plumbline.dlrm.ops.embedding.pooling import Pooling
from plumbline.dlrm.score.scorer import Scorer
from plumbline.dlrm.train.fused_trainer import FusedTrainer
from plumbline.settings import Model
from tests.dlrm.conftest import World, make_plan
from tests.dlrm.embedding_reference import embedding_reference
from tests.dlrm.train.test_fused_trainer import SGD, batches, trained, training
from tests.dlrm.train.test_training import SETTINGS, CutOff, cut_after, run_in, weights

POSITIONS = 3


@pytest.fixture
def weighted_world(list_world) -> World:
    architecture = replace(
        list_world.architecture, bag="position_weighted", bag_positions=POSITIONS
    )
    return replace(list_world, architecture=architecture)


@pytest.fixture(scope="module")
def ordered_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Only the first id of a list has an effect on the click."""
    folder = tmp_path_factory.mktemp("ordered")
    plan = make_plan({"user": 5, "history": 25}, ("I1",), ("history",))
    generator = np.random.default_rng(7)
    effect_of = generator.normal(0, 2.5, 25)

    def write(name: str, rows: int) -> Path:
        lists = [generator.integers(0, 25, n).tolist() for n in generator.integers(1, 7, rows)]
        logit_B = np.array([effect_of[ids[0]] for ids in lists])
        table = {
            "I1": pa.array(generator.normal(size=rows), pa.float32()),
            "user": generator.integers(0, 5, rows),
            "history": pa.array(lists, pa.list_(pa.int64())),
            "click": (generator.random(rows) < 1 / (1 + np.exp(-logit_B))).astype(np.int8),
        }
        pq.write_table(pa.table(table), folder / name)
        return folder / name

    files = [write("train.parquet", 3000)], [write("valid.parquet", 1500)]
    return World(plan, Architecture.of(plan, model("mean")), *files)


def model(bag: Pooling) -> Model:
    sizes = {"embedding_dim": 4, "bottom_mlp": (8, 4), "top_mlp": (16, 8)}
    return Model.model_validate({**sizes, "bag": bag})


def test_it_learns_which_positions_matter(ordered_world, tmp_path):
    settings = SETTINGS.model_copy(update={"epochs": 5, "learning_rate": 1e-2, "batch_size": 64})
    auc = {}
    for bag in ("mean", "position_weighted"):
        architecture = Architecture.of(ordered_world.plan, model(bag))
        world = replace(ordered_world, architecture=architecture)
        auc[bag] = run_in(world, tmp_path / bag, settings).valid[-1].auc
    assert auc["position_weighted"] > auc["mean"] + 0.05
    (weight_P,) = load_model(tmp_path / "position_weighted" / "model").tables.position_weights
    assert weight_P.shape == (50,)
    assert weight_P[0] > 2 * weight_P[1:6].abs().max()
    assert (weight_P[6:] == 1).all()  # no list is that long


def test_a_cut_off_run_ends_the_same_and_the_model_is_served(weighted_world, tmp_path):
    settings = SETTINGS.model_copy(update={"averaging": True})
    run_in(weighted_world, tmp_path / "whole", settings)
    with pytest.raises(CutOff):
        run_in(weighted_world, tmp_path / "cut", settings, progress=cut_after(25 * 32))
    run_in(weighted_world, tmp_path / "cut", settings)
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    stored = load_model(tmp_path / "cut" / "model")
    assert all((weight_P != 1).all() for weight_P in stored.tables.position_weights)
    scorer = Scorer.load(tmp_path / "cut" / "model", weighted_world.plan.content_hash)
    assert scorer.architecture == weighted_world.architecture


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_step_of_sgd_follows_autograds_gradient(weighted_world, precision):
    settings = training(**SGD, precision=precision)
    trainer = FusedTrainer(weighted_world.architecture, settings, 3, "cpu")
    (batch,) = batches(weighted_world.architecture, 1)
    reference = FusedTrainer(weighted_world.architecture, settings, 3, "cpu").model
    columns = reference.tables.columns(batch.ids_BF, batch.bags)
    exact = [bag.weights_P.clone().requires_grad_() for bag in columns.bags]
    bags = tuple(replace(bag, weights_P=w) for bag, w in zip(columns.bags, exact, strict=True))
    vector_BVD = embedding_reference(
        reference.tables.weight, replace(columns, bags=bags), torch.float32
    )
    logit_B = reference.logits(vector_BVD, batch.dense_BC)
    binary_cross_entropy_with_logits(logit_B, batch.click_B).backward()
    trainer.step(batch, 1.0)
    error = 1e-4 if precision == "fp32" else 0.1
    for weight_P, first_P in zip(trainer.model.tables.position_weights, exact, strict=True):
        moved_P, wanted_P = weight_P - 1, -settings.learning_rate * first_P.grad
        assert (moved_P - wanted_P).norm() <= error * wanted_P.norm() + 1e-7


def test_an_id_at_a_weight_of_zero_keeps_its_row(weighted_world):
    architecture = weighted_world.architecture
    trainer = FusedTrainer(architecture, training(**SGD), 3, "cpu")
    before_RD = trainer.model.tables.weight.clone()
    with torch.no_grad():
        for weight_P in trainer.model.tables.position_weights:
            weight_P.zero_()
    trainer.step(next(batches(architecture, 1)), 1.0)
    for position, name in enumerate(architecture.categorical):
        first = sum(architecture.cardinalities[:position])
        rows = slice(first, first + architecture.cardinalities[position])
        kept = torch.equal(trainer.model.tables.weight[rows], before_RD[rows])
        assert kept == (name in architecture.bags)


def test_without_native_kernels_the_weights_are_the_same(weighted_world, monkeypatch):
    def run() -> dict[str, torch.Tensor]:
        architecture = weighted_world.architecture
        return trained(FusedTrainer(architecture, training(**SGD), 3, "cpu"), architecture)

    native = run()
    monkeypatch.setenv("PLUMBLINE_NATIVE", "0")
    for name, weight in run().items():
        assert torch.allclose(weight, native[name], rtol=1e-5, atol=1e-5), name
