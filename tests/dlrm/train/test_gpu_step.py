"""A training step as on a GPU: with the CUDA embedding kernels, which run under the emulation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor

from plumbline.dlrm.data.loader import Batch
from plumbline.dlrm.data.parquet_loader import ParquetLoader
from plumbline.dlrm.data.transfer import mapped
from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.ops.embedding import operator, position_weights
from plumbline.dlrm.ops.embedding.cuda import CudaEmbedding
from plumbline.dlrm.ops.embedding.faults import IdFaults, inside
from plumbline.dlrm.train import embedding_optimizer
from plumbline.dlrm.train.averaging import AveragedTrainer
from plumbline.dlrm.train.fused_trainer import FusedTrainer
from plumbline.dlrm.train.optimizers import dense_optimizer
from plumbline.dlrm.train.training import train
from plumbline.settings import Training
from tests.dlrm.kernels.emulated import EmulatedModule, compiled
from tests.dlrm.kernels.ladder_embedding import POOLINGS, Shape, draw
from tests.dlrm.train.test_fused_trainer import batches, training
from tests.dlrm.train.test_training import SETTINGS
from tests.dlrm.waits import waits


@pytest.fixture(scope="module")
def module() -> EmulatedModule:
    return compiled("embedding")


@pytest.fixture
def as_on_a_gpu(module, monkeypatch) -> Callable[..., None]:
    """Takes the CUDA kernels for tensors of the CPU; with `faults`, as on a GPU."""

    def take(faults: bool = True) -> None:
        def kernels(device: torch.device, noted: IdFaults | None = None) -> CudaEmbedding:
            return CudaEmbedding(module, waits=False, faults=noted)

        module.emulate()
        monkeypatch.setattr(operator, "embedding_kernels", kernels)
        monkeypatch.setattr(embedding_optimizer, "embedding_kernels", kernels)
        monkeypatch.setattr(embedding_optimizer, "id_faults", IdFaults if faults else no_faults)
        monkeypatch.setattr(position_weights, "usable", inside)

    return take


def no_faults(device: torch.device) -> None:
    return None


def worlds_of(world, list_world, pooling: str):
    positions = 3 if pooling == "position_weighted" else None
    lists = replace(list_world.architecture, bag=pooling, bag_positions=positions)
    return lists if pooling != "single ids" else world.architecture


def everything(trainer) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in trainer.state().items() if name != "step"}


def with_wrong(batch: Batch, fault: str) -> Batch:
    """The batch with an id, or offsets, that do not fit."""
    if fault in ("single", "negative"):
        ids_BF = batch.ids_BF.clone()
        ids_BF[7, 1] = 999 if fault == "single" else -3
        return replace(batch, ids_BF=ids_BF)
    (ids_N, offsets_B1), *rest = batch.bags
    ids_N, offsets_B1 = ids_N.clone(), offsets_B1.clone()
    if fault == "in a list":
        ids_N[5] = 13
    elif fault == "last offset":
        offsets_B1[-1] += 1
    else:
        offsets_B1[20] = 10**6
    return replace(batch, bags=((ids_N, offsets_B1), *rest))


POOLED = ["single ids", "mean", "sum", "max", "position_weighted"]
FAULTS = {
    "single": r"Column 'C2': the model has ids 0 to 8, got 999",
    "negative": r"Column 'C2': the model has ids 0 to 8, got -3",
    "in a list": r"Column 'tags': the model has ids 0 to 12, got 13",
    "last offset": r"column 1: wanted offsets that rise from 0 to \d+",
    "falling": r"column 1: wanted offsets that rise from 0 to \d+",
}


@pytest.mark.parametrize("pooling", POOLED)
@pytest.mark.parametrize("changes", [{}, {"dropout": 0.3, "clip_norm": 1.0}, {"precision": "bf16"}])
def test_a_step_never_waits(world, list_world, as_on_a_gpu, pooling, changes):
    as_on_a_gpu()
    architecture = worlds_of(world, list_world, pooling)
    trainer = FusedTrainer(architecture, training(**changes), 3, "cpu")
    for batch in batches(architecture, 2):
        with waits() as found:
            trainer.step(batch, 0.5)
        assert found == []
    trainer.check()
    with waits() as found:
        trainer.check()
    assert found == ["tolist"]


def test_a_step_that_waits_is_noticed(world, as_on_a_gpu):
    as_on_a_gpu(faults=False)
    trainer = FusedTrainer(world.architecture, training(), 3, "cpu")
    (batch,) = batches(world.architecture, 1)
    with waits() as found:
        trainer.step(batch, 0.5)
    assert found == ["tolist"]


@pytest.mark.parametrize("pooling", POOLINGS)
def test_the_kernels_never_wait(module, pooling):
    """The operator hides what happens inside it from the test above."""
    module.emulate()
    case = draw(Shape((5, 9), (False, True), rows=4, dim=8), torch.float32, pooling=pooling)
    kernels = CudaEmbedding(module, waits=False)
    with waits() as found:
        kernels.gather(case.weight_RD, case.columns, case.gradient_BVD)
        for bag in case.columns.bags:
            kernels.pool(case.weight_RD, bag, pooling, case.gradient_BVD)
    assert found == []


@pytest.mark.parametrize("pooling", POOLED)
@pytest.mark.parametrize("rows", ["fp32", "bf16"])
def test_right_ids_give_the_same_bits_as_with_waits(world, list_world, as_on_a_gpu, pooling, rows):
    architecture = replace(worlds_of(world, list_world, pooling), embedding_rows=rows)
    trained = []
    for faults in (True, False):
        as_on_a_gpu(faults)
        trainer = FusedTrainer(architecture, training(), 3, "cpu")
        for batch in batches(architecture, 3):
            trainer.step(batch, 0.5)
        trained.append(everything(trainer))
    for name, tensor in trained[0].items():
        assert torch.equal(tensor, trained[1][name]), name


@pytest.mark.parametrize(
    ("rows", "optimizers"),
    [("fp32", {}), ("bf16", {"optimizer": "sgd", "embedding_optimizer": "sgd"})],
)
@pytest.mark.parametrize("pooling", POOLED[1:])
@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_changes_from_a_wrong_id_on(
    list_world, as_on_a_gpu, rows, pooling, fault, optimizers
):
    as_on_a_gpu()
    architecture = replace(worlds_of(list_world, list_world, pooling), embedding_rows=rows)
    trainer = FusedTrainer(architecture, training(**optimizers), 3, "cpu")
    first, second, third, fourth = batches(architecture, 4)
    trainer.step(first, 1.0)
    trainer.check()
    before = everything(trainer)
    other = "negative" if fault == "single" else "single"
    steps = (with_wrong(second, fault), third, with_wrong(fourth, other))
    with waits() as found:
        for batch in steps:
            trainer.step(batch, 1.0)
    assert found == []
    for name, tensor in everything(trainer).items():
        assert torch.equal(tensor, before[name]), name
    for _ in range(2):
        with pytest.raises((ModelError, ValueError), match=FAULTS[fault]):
            trainer.check()


def test_columns_without_rows_or_ids_have_no_faults(list_world, world):
    for architecture in (list_world.architecture, world.architecture):
        tables = FusedTrainer(architecture, training(), 3, "cpu").model.tables
        for rows in (0, 2):
            ids_BF = torch.zeros(rows, len(architecture.single), dtype=torch.int64)
            no_ids = (ids_BF.new_empty(0), ids_BF.new_zeros(rows + 1))
            faults = IdFaults(ids_BF.device)
            columns = tables.columns(ids_BF, [no_ids] * len(architecture.bags))
            assert faults.look(columns).ids_BF.shape == ids_BF.shape
            faults.raise_first()


def test_training_ends_before_the_next_checkpoint(world, as_on_a_gpu, tmp_path):
    as_on_a_gpu()
    table = pq.read_table(world.train_files[0])
    ids = pa.array([*table["C2"].to_pylist()[:-1], 77], pa.int64())
    pq.write_table(table.drop_columns(["C2"]).append_column("C2", ids), tmp_path / "x.parquet")
    trainer = FusedTrainer(world.architecture, SETTINGS, 1, "cpu")
    for averaged in (False, True):
        out = tmp_path / str(averaged)
        with pytest.raises(ModelError, match="Column 'C2': the model has ids 0 to 8, got 77"):
            train(
                AveragedTrainer(trainer, 10) if averaged else trainer,
                ParquetLoader([tmp_path / "x.parquet"], world.architecture, 32),
                SETTINGS.model_copy(update={"checkpoint_every": 10}),
                seed=1,
                valid_files=world.valid_files,
                out=out,
                plan_hash="0" * 64,
            )
        assert not list(out.glob("checkpoint/*"))


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_dense_step_looks_at_a_flag_in_memory(optimizer):
    parameter = torch.nn.Parameter(torch.zeros(3))
    named = dense_optimizer(
        {"last.weight": parameter}, Training(optimizer=optimizer, learning_rate=0.01)
    )
    flag = torch.zeros(())
    for skip, wanted in ((0, -0.01), (1, -0.01), (1, -0.01), (0, -0.02)):
        flag.fill_(skip)
        parameter.grad = torch.ones(3)
        named.step(1.0, skip=flag)
        assert parameter.tolist() == pytest.approx([wanted] * 3, rel=1e-4)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_rate_in_memory_gives_the_same_steps(optimizer):
    settings = Training(optimizer=optimizer, learning_rate=0.01, weight_decay=0.1)
    stepped = []
    for in_memory in (True, False):
        parameter = torch.nn.Parameter(torch.full((2, 2), 3.0))
        named = dense_optimizer({"last.weight": parameter}, settings, rate_in_memory=in_memory)
        rate = named._optimizer.param_groups[0]["lr"]
        for factor in (1.0, 0.25, 0.0, 0.5):
            parameter.grad = torch.full((2, 2), 0.7)
            named.step(factor)
        if in_memory:
            assert all(group["lr"] is rate for group in named._optimizer.param_groups)
            assert rate.item() == pytest.approx(0.005)
        stepped.append(parameter.detach())
    torch.testing.assert_close(*stepped, rtol=1e-6, atol=0)


on_a_device = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


def on_gpu(batch: Batch) -> Batch:
    return mapped(batch, lambda tensor: tensor.cuda())


@pytest.mark.gpu
@on_a_device
@pytest.mark.parametrize("pooling", POOLED)
def test_on_a_device_nothing_changes_from_a_wrong_id_on(world, list_world, pooling):
    architecture = worlds_of(world, list_world, pooling)
    trainer = FusedTrainer(architecture, training(), 3, "cuda")
    first, second, third = map(on_gpu, batches(architecture, 3))
    trainer.step(first, 1.0)
    trainer.check()
    before = everything(trainer)
    trainer.step(with_wrong(second, "single"), 1.0)
    trainer.step(third, 1.0)
    for name, tensor in everything(trainer).items():
        assert torch.equal(tensor, before[name]), name
    with pytest.raises(ModelError, match=FAULTS["single"]):
        trainer.check()


@pytest.mark.gpu
@on_a_device
@pytest.mark.parametrize("pooling", POOLED)
def test_on_a_device_a_step_can_be_captured(world, list_world, pooling):
    architecture = worlds_of(world, list_world, pooling)
    trainer = FusedTrainer(architecture, training(), 3, "cuda")
    (batch,) = map(on_gpu, batches(architecture, 1))
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            trainer.step(batch, 1.0)
    stream.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = trainer.step(batch, 1.0)
    losses = []
    for _ in range(3):
        graph.replay()
        losses.append(loss.item())
    assert losses[0] > losses[1] > losses[2]
    trainer.check()
