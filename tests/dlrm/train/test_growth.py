"""A grown model gives old rows the scores that they had, and goes on with its optimizers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from plumbline.base.errors import StageError
from plumbline.dlrm.data.loader import Order
from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.model.dlrm import DLRM
from plumbline.dlrm.score.scorer import Scorer
from plumbline.dlrm.train.averaging import AveragedTrainer
from plumbline.dlrm.train.fused_trainer import FusedTrainer
from plumbline.dlrm.train.growth import PARAMETER, Growth, Start, optimizer_state
from plumbline.dlrm.train.merlin_trainer import MerlinTrainer
from plumbline.nvtabular.merlin_data import merlin_schema
from tests.dlrm.train.test_fused_trainer import SGD, batches, trained, training
from tests.dlrm.train.test_training import SETTINGS, loader_of, run_in, weights


def grown(architecture, *, by: int = 2):
    """An architecture whose columns have two more ids, which were 1 and 2 before."""
    sizes = tuple(size + by for size in architecture.cardinalities)
    before = dict.fromkeys(architecture.categorical, np.array([1, 2])[:by])
    larger = replace(architecture, cardinalities=sizes)
    return larger, Growth.of(architecture, larger, before)


def trainer_of(name: str, world, architecture, settings):
    if name == "fused":
        return FusedTrainer(architecture, settings, 3, "cpu")
    plan = world.plan
    sizes = dict(zip(architecture.categorical, architecture.cardinalities, strict=True))
    outputs = tuple(
        replace(
            column,
            chain=replace(
                column.chain,
                steps=(replace(column.chain.steps[0], cardinality=sizes[column.name]),),
            ),
        )
        if column.is_categorical
        else column
        for column in plan.outputs
    )
    schema = merlin_schema(replace(plan, outputs=outputs))
    return MerlinTrainer(architecture, settings, 3, "cpu", schema)


def state_of(trainer, growth: Growth, architecture) -> dict[str, torch.Tensor]:
    model = growth.weights(trainer.canonical().state_dict())
    optimizers = growth.optimizer(optimizer_state(trainer), architecture)
    return {**{PARAMETER + name: tensor for name, tensor in model.items()}, **optimizers}


@pytest.mark.parametrize("rows", ["fp32", "bf16"])
def test_scores_are_the_same_to_the_bit(world, rows):
    """Of old ids, and of new ones instead of those that their values had."""
    architecture = replace(world.architecture, embedding_rows=rows)
    old = DLRM(architecture, 1)
    larger, growth = grown(architecture)
    new = DLRM.of_weights(larger, growth.weights(old.state_dict()))
    (batch,) = batches(architecture, 1, rows=200)
    ids, dense = batch.ids_BF.numpy(), batch.dense_BC.numpy()
    scores = Scorer.of(old).score(ids, dense)
    assert np.array_equal(Scorer.of(new).score(ids, dense), scores)
    moved = ids.copy()
    sizes = dict(zip(architecture.categorical, architecture.cardinalities, strict=True))
    for column, name in enumerate(architecture.single):
        for place, had in enumerate((1, 2)):
            moved[ids[:, column] == had, column] = sizes[name] + place
    assert not np.array_equal(moved, ids)
    assert np.array_equal(Scorer.of(new).score(moved, dense), scores)


@pytest.mark.parametrize("changes", [{}, SGD], ids=["adam and adagrad", "sgd"])
@pytest.mark.parametrize("name", ["fused", "merlin"])
def test_a_grown_training_goes_on_as_the_old_one(world, name, changes):
    """On rows without new ids, weights and optimizers are those of a training without a break."""
    settings, architecture = training(**changes), world.architecture
    whole = trainer_of(name, world, architecture, settings)
    first = trainer_of(name, world, architecture, settings)
    steps = list(batches(architecture, 12))
    for batch in steps[:6]:
        first.step(batch, 1.0)
    larger, growth = grown(architecture)
    second = trainer_of(name, world, larger, settings)
    second.load(state_of(first, growth, larger))
    for batch in steps[6:]:
        second.step(batch, 1.0)
    for batch in steps:
        whole.step(batch, 1.0)
    wanted, got = whole.canonical().state_dict(), second.canonical().state_dict()
    start, end = 0, 0
    for had, has in zip(architecture.cardinalities, larger.cardinalities, strict=True):
        old = wanted["tables.weight"][start : start + had]
        assert torch.equal(got["tables.weight"][end : end + had], old)
        start, end = start + had, end + has
    assert wanted.keys() == got.keys()
    for key in wanted.keys() - {"tables.weight"}:
        assert torch.equal(got[key], wanted[key]), key


def test_new_rows_have_no_state_yet(world):
    architecture = world.architecture
    trainer = FusedTrainer(architecture, training(), 3, "cpu")
    trained(trainer, architecture)
    larger, growth = grown(architecture)
    sums = growth.optimizer(optimizer_state(trainer), larger)["embeddings/mean_square_sum"]
    assert len(sums) == sum(larger.cardinalities)
    assert not sums[growth.is_new_R].any()
    assert torch.equal(sums[~growth.is_new_R], trainer.state()["embeddings/mean_square_sum"])


def test_an_averaged_trainer_keeps_the_state_of_the_trainer_in_it(world):
    trainer = FusedTrainer(world.architecture, training(), 3, "cpu")
    averaged = AveragedTrainer(trainer, 10)
    trained(averaged, world.architecture)
    kept = optimizer_state(averaged)
    assert kept.keys() == {key for key in trainer.state() if not key.startswith(PARAMETER)}
    assert all(torch.equal(kept[key], trainer.state()[key]) for key in kept)


def test_training_goes_on_from_a_start_and_resumes(world, tmp_path):
    """The start is part of a checkpoint's identity."""
    first = run_in(world, tmp_path / "first", SETTINGS.model_copy(update={"epochs": 1}))
    trainer = FusedTrainer(world.architecture, SETTINGS, 1, "cpu")
    for batch in loader_of(world, "parquet", world.train_files, 32).batches(Order(1, 0)):
        trainer.step(batch, 1.0)
    start = Start("0a", trainer.state())
    one = SETTINGS.model_copy(update={"epochs": 1})
    ended = run_in(world, tmp_path / "second", one, start=start)
    assert ended.epochs[0].train_loss < first.epochs[0].train_loss
    again = run_in(world, tmp_path / "second", one, start=start)
    assert again.steps == ended.steps
    assert weights(tmp_path / "second") != weights(tmp_path / "first")
    with pytest.raises(StageError, match='started_from: was "0a", is "1b"'):
        run_in(world, tmp_path / "second", one, start=Start("1b", trainer.state()))


def test_other_models_and_other_ids_are_refused(world):
    architecture = world.architecture
    larger, _ = grown(architecture)
    with pytest.raises(ModelError, match="got others: top_mlp"):
        Growth.of(architecture, replace(larger, top_mlp=(3,)), {})
    name = architecture.categorical[0]
    with pytest.raises(ModelError, match=f"Column .{name}.: the model wants 2 new ids, got 0"):
        Growth.of(architecture, larger, {})
    fewer, _ = grown(architecture, by=0)
    with pytest.raises(ModelError, match="wants -2 new ids, got 0"):
        Growth.of(larger, fewer, {})
