"""The fused trainer against Merlin's: the same gradients, weights and resumed state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from plumbline.base.errors import ConfigError
from plumbline.dlrm.data.loader import Batch
from plumbline.dlrm.model.dropout import Dropout
from plumbline.dlrm.model.embedding_tables import EmbeddingTables
from plumbline.dlrm.train.fused_trainer import FusedTrainer
from plumbline.dlrm.train.merlin_trainer import MerlinTrainer
from plumbline.dlrm.train.precision import LossScale
from plumbline.nvtabular.merlin_data import merlin_schema
from plumbline.settings import Training
from tests.dlrm.waits import waits

SGD = {"optimizer": "sgd", "embedding_optimizer": "sgd"}


def training(**changes: object) -> Training:
    settings = {
        "learning_rate": 0.05,
        "embedding_learning_rate": 0.2,
        "precision": "fp32",
        **changes,
    }
    return Training.model_validate(settings)


def batches(architecture, count: int, rows: int = 48) -> Iterator[Batch]:
    generator = torch.Generator().manual_seed(9)
    sizes = dict(zip(architecture.categorical, architecture.cardinalities, strict=True))
    for _ in range(count):
        ids = [torch.randint(sizes[n], (rows, 1), generator=generator) for n in architecture.single]
        bags = []
        for name in architecture.bags:
            lengths_B = torch.randint(4, (rows,), generator=generator)
            offsets_B1 = torch.cat([torch.zeros(1, dtype=torch.int64), lengths_B.cumsum(0)])
            count_N = int(offsets_B1[-1])
            ids_N = torch.randint(sizes[name], (count_N,), generator=generator)
            bags.append((ids_N, offsets_B1))
        yield Batch(
            torch.cat(ids, dim=1),
            torch.randn(rows, len(architecture.continuous), generator=generator),
            (torch.rand(rows, generator=generator) < 0.3).float(),
            tuple(bags),
        )


def trained(trainer, architecture, count: int = 12) -> dict[str, torch.Tensor]:
    for step, batch in enumerate(batches(architecture, count)):
        trainer.step(batch, 1.0 - step / 20)
    state = trainer.canonical().state_dict()
    return {name: tensor.detach().clone() for name, tensor in state.items()}


@pytest.fixture(params=["single ids", "lists"])
def any_world(request, world, list_world):
    return world if request.param == "single ids" else list_world


@pytest.mark.parametrize(
    "changes", [SGD, {}, {**SGD, "clip_norm": 0.05}], ids=["sgd", "adam and adagrad", "clipped"]
)
def test_training_gives_the_weights_of_merlins_trainer(any_world, changes):
    architecture = any_world.architecture
    settings = training(**changes)
    ours = trained(FusedTrainer(architecture, settings, 3, "cpu"), architecture)
    schema = merlin_schema(any_world.plan)
    theirs = trained(MerlinTrainer(architecture, settings, 3, "cpu", schema), architecture)
    first = trained(FusedTrainer(architecture, settings, 3, "cpu"), architecture, count=0)
    assert ours.keys() == theirs.keys()
    for name, weight in ours.items():
        assert not torch.equal(weight, first[name]), name
        assert torch.allclose(weight, theirs[name], rtol=1e-5, atol=1e-5), name


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_follows_float32_within_its_rounding(any_world, precision):
    architecture = any_world.architecture
    first = trained(FusedTrainer(architecture, training(**SGD), 3, "cpu"), architecture, count=0)
    exact = trained(FusedTrainer(architecture, training(**SGD), 3, "cpu"), architecture)
    half = FusedTrainer(architecture, training(**SGD, precision=precision), 3, "cpu")
    got = trained(half, architecture)
    assert half.precision == precision
    for name, weight in exact.items():
        moved = (weight - first[name]).norm()
        assert got[name].dtype == torch.float32
        assert (got[name] - weight).norm() <= 0.15 * moved, name


def test_gradients_of_the_vectors_are_those_of_float32_within_the_rounding_of_bfloat16(world):
    model = FusedTrainer(world.architecture, training(), 3, "cpu").model
    (batch,) = batches(world.architecture, 1)
    gradients = {}
    for dtype in (torch.float32, torch.bfloat16):
        vector_BVD = model.tables(batch.ids_BF, batch.bags, dtype).requires_grad_()
        model.logits(vector_BVD, batch.dense_BC).sum().backward()
        gradients[dtype] = vector_BVD.grad.float()
    exact, got = gradients.values()
    assert (got - exact).norm() <= 0.02 * exact.norm()


def test_bfloat16_rows_learn_too(world):
    settings = training(**SGD, embedding_learning_rate=5.0)
    architecture = replace(world.architecture, embedding_rows="bf16")
    first = trained(FusedTrainer(architecture, settings, 3, "cpu"), architecture, count=0)
    got = trained(FusedTrainer(architecture, settings, 3, "cpu"), architecture)
    exact = trained(FusedTrainer(world.architecture, settings, 3, "cpu"), architecture)
    assert got["tables.weight"].dtype == torch.bfloat16
    name = "tables.weight"
    moved = (exact[name] - first[name].float()).norm()
    assert (got[name].float() - exact[name]).norm() <= 0.1 * moved


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("rows", ["fp32", "bf16"])
def test_a_trainer_that_loads_a_state_resumes_to_the_bit(world, precision, rows):
    architecture = replace(world.architecture, embedding_rows=rows)
    settings = training(precision=precision)
    whole = FusedTrainer(architecture, settings, 3, "cpu")
    cut = FusedTrainer(architecture, settings, 3, "cpu")
    for step, batch in enumerate(batches(architecture, 8)):
        if step == 4:
            kept = {name: tensor.clone() for name, tensor in cut.state().items()}
            cut = FusedTrainer(architecture, settings, 3, "cpu")
            cut.load(kept)
        whole.step(batch, 1.0)
        cut.step(batch, 1.0)
    for name, tensor in whole.state().items():
        assert torch.equal(cut.state()[name], tensor), name


def test_dropout_repeats_to_the_bit_and_resumes(world):
    architecture, settings = world.architecture, training(dropout=0.4)
    whole, cut = (FusedTrainer(architecture, settings, 3, "cpu") for _ in range(2))
    for step, batch in enumerate(batches(architecture, 6)):
        if step == 3:
            kept = {name: tensor.clone() for name, tensor in cut.state().items()}
            cut = FusedTrainer(architecture, settings, 3, "cpu")
            cut.load(kept)
        assert torch.equal(whole.step(batch, 1.0), cut.step(batch, 1.0))
    for name, tensor in whole.state().items():
        assert torch.equal(cut.state()[name], tensor), name
    without = trained(FusedTrainer(architecture, training(), 3, "cpu"), architecture, count=6)
    assert not torch.equal(without["last.weight"], whole.canonical().last.weight)
    other = trained(FusedTrainer(architecture, settings, 4, "cpu"), architecture, count=6)
    assert not torch.equal(other["last.weight"], whole.canonical().last.weight)


def test_dropout_keeps_its_share_and_the_mean():
    ones_BI = torch.ones(2000, 50)
    dropout = Dropout(0.3, 1, 5, ones_BI.device)
    first, second = dropout(ones_BI), dropout(ones_BI)
    assert first.unique().tolist() == pytest.approx([0.0, 1 / 0.7])
    assert first.mean().item() == pytest.approx(1.0, abs=0.01)
    assert not torch.equal(first, second)
    assert not torch.equal(first, Dropout(0.3, 1, 6, ones_BI.device)(ones_BI))


def test_scores_are_without_dropout(world):
    trainer = FusedTrainer(world.architecture, training(dropout=0.9), 3, "cpu")
    (batch,) = batches(world.architecture, 1)
    model = trainer.canonical()
    one, two = (model(batch.ids_BF, batch.dense_BC, batch.bags) for _ in range(2))
    assert torch.equal(one, two)
    plain = FusedTrainer(world.architecture, training(), 3, "cpu").canonical()
    assert torch.equal(one, plain(batch.ids_BF, batch.dense_BC, batch.bags))


def test_a_step_that_overflows_float16_is_skipped_and_the_scale_halved(world):
    trainer = FusedTrainer(world.architecture, training(precision="fp16"), 3, "cpu")
    before = {name: tensor.clone() for name, tensor in trainer.canonical().state_dict().items()}
    trainer._loss_scale.value = 2.0**40
    (batch,) = batches(world.architecture, 1)
    loss = trainer.step(batch, 1.0)
    assert torch.isfinite(loss)
    assert trainer._loss_scale.value == 2.0**39
    for name, tensor in trainer.canonical().state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_the_scale_doubles_after_many_good_steps():
    scale = LossScale("fp16")
    gradient = torch.ones(2)
    for _ in range(LossScale.STEPS_TO_DOUBLE):
        assert scale.accepts([gradient])
    assert scale.value == 2 * LossScale.FIRST
    assert not scale.accepts([gradient, torch.tensor([float("inf")])])
    assert scale.value == LossScale.FIRST
    for precision in ("fp32", "bf16"):
        assert LossScale(precision).value == 1
        assert LossScale(precision).accepts([torch.tensor([float("inf")])])


def test_merlins_trainer_refuses_unsupported_settings(world):
    schema = merlin_schema(world.plan)
    with pytest.raises(ConfigError, match=r"training.precision bf16: Merlin.* --model fused"):
        MerlinTrainer(world.architecture, training(precision="bf16"), 3, "cpu", schema)
    with pytest.raises(ConfigError, match=r"training.dropout 0.1: Merlin.* --model fused"):
        MerlinTrainer(world.architecture, training(dropout=0.1), 3, "cpu", schema)
    narrow = replace(world.architecture, embedding_rows="bf16")
    with pytest.raises(ConfigError, match=r"model.embedding_rows bf16: Merlin.* --model fused"):
        MerlinTrainer(narrow, training(), 3, "cpu", schema)


def test_the_tables_are_one_buffer(world):
    trainer = FusedTrainer(world.architecture, training(), 3, "cpu")
    assert isinstance(trainer.model.tables, EmbeddingTables)
    assert trainer.model.tables.weight.shape == (sum(world.architecture.cardinalities), 4)


@pytest.mark.parametrize("bad", [None, 0, 3])
def test_the_loss_scale_waits_once_for_all_gradients(bad):
    scale = LossScale("fp16")
    gradients = [torch.ones(3), torch.ones(2, 2, dtype=torch.float16), torch.ones(5), torch.ones(1)]
    if bad is not None:
        gradients[bad][-1] = float("nan")
    with waits() as found:
        accepted = scale.accepts(gradients)
    assert accepted == (bad is None)
    assert found == ["aten._local_scalar_dense"]
