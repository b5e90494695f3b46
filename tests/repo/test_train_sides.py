"""The sides of the training benchmark do equal work: the same logits and the same step."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from benchmarks.harness import Benchmark, Case
from benchmarks.train import LOSS_TOLERANCE, NOT_NATIVE, Run, Runs, judge_with_tiles
from benchmarks.train_sides import (
    COMPILED,
    COMPILED_KEPT,
    EAGER_FP32,
    OURS,
    OURS_BF16_ROWS,
    PRODUCTS,
    Ours,
)
from benchmarks.train_torch import SeparateTables, TorchTrainer
from benchmarks.train_work import (
    CARDINALITIES,
    Work,
    article,
    kaggle,
    layer_widths,
    set_first_weights,
    write_rows,
)
from plumbline.base.errors import DataError
from plumbline.dlrm.data.loader import Batch
from plumbline.dlrm.data.parquet_loader import ParquetLoader

SMALL = kaggle([min(rows, 50) for rows in CARDINALITIES])
ROWS = 64


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    write_rows(tmp_path / "rows.parquet", SMALL, ROWS)
    return next(ParquetLoader([tmp_path / "rows.parquet"], SMALL, ROWS).batches())


def ours_parameters(side: Ours) -> list[Tensor]:
    model = side.trainer.model
    linear = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    return [
        *(parameter.detach() for layer in linear for parameter in (layer.weight, layer.bias)),
        model.tables.weight.detach(),
    ]


def torch_parameters(side: TorchTrainer) -> list[Tensor]:
    weight_RD = torch.cat([rows_RD.detach() for rows_RD in side.tables.weights()])
    return [*(parameter.detach() for parameter in side.layers.parameters()), weight_RD]


def test_logits_and_a_step_equal_those_of_plain_torch(batch: Batch) -> None:
    ours = Ours(SMALL, "fp32")
    peer = TorchTrainer(SMALL, SeparateTables(SMALL), bf16=False, compiled=False)
    before = [parameter.clone() for parameter in torch_parameters(peer)]
    torch.testing.assert_close(ours_parameters(ours), before, rtol=0, atol=0)
    logit_B = ours.trainer.model(batch.ids_BF, batch.dense_BC)
    torch.testing.assert_close(logit_B, peer.logits(batch), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ours.step(batch), peer.step(batch), rtol=1e-6, atol=0)
    changed = zip(before, ours_parameters(ours), torch_parameters(peer), strict=True)
    for first, one, other in changed:
        moved = (other - first).abs().max()
        assert moved > 0
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5 * float(moved) + 1e-8)


def test_first_weights_do_not_depend_on_the_storage_of_the_tables() -> None:
    layers = TorchTrainer(SMALL, SeparateTables(SMALL), bf16=False, compiled=False).layers
    together_RD = torch.empty(sum(SMALL.cardinalities), SMALL.embedding_dim)
    set_first_weights(SMALL, layers, [together_RD])
    parts = [torch.empty(rows, SMALL.embedding_dim) for rows in SMALL.cardinalities]
    set_first_weights(SMALL, layers, parts)
    assert torch.equal(torch.cat(parts), together_RD)
    assert 0.009 < together_RD.std() < 0.011


def test_rows_fit_the_tables_and_frequent_ids_are_small(batch: Batch) -> None:
    assert (batch.ids_BF >= 0).all()
    assert (batch.ids_BF < torch.tensor(SMALL.cardinalities)).all()
    assert batch.ids_BF[:, 0].median() < SMALL.cardinalities[0] / 4
    assert set(batch.click_B.tolist()) == {0.0, 1.0}


def test_models_have_the_reported_sizes() -> None:
    assert sum(CARDINALITIES) == 32_709_138
    assert layer_widths(article(CARDINALITIES)) == [
        (13, 512), (512, 256), (256, 128),
        (480, 1024), (1024, 1024), (1024, 512), (512, 256), (256, 1),
    ]  # fmt: skip
    assert layer_widths(kaggle(CARDINALITIES))[4:] == [(368, 512), (512, 256), (256, 1)]


def test_work_is_read_back(tmp_path: Path) -> None:
    work = Work(SMALL, batch_size=8, warm_up=1, steps=2)
    work.write(tmp_path / "work.json")
    assert Work.read(tmp_path / "work.json") == work
    assert work.rows == 24


def run(loss: float, native: bool = True) -> Run:
    return Run(ms=1.0, peak_mb=1, native=native, loss=loss)


def test_another_loss_is_refused() -> None:
    runs = Runs(Path(), Path(), {EAGER_FP32: [run(0.5)], PRODUCTS: [run(math.nan)]})
    runs.of[OURS] = [run(0.5 * (1 + LOSS_TOLERANCE / 2))]
    runs.check_losses()
    runs.of[OURS].append(run(0.5 * (1 + LOSS_TOLERANCE * 2)))
    with pytest.raises(DataError, match=r"ours has the mean loss 0\.50"):
        runs.check_losses()


def test_a_side_without_native_kernels_is_noted() -> None:
    benchmark = Benchmark("train")
    runs = Runs(Path(), Path(), {OURS: [run(0.5)]})
    runs.note_if_not_native(benchmark)
    assert benchmark.notes == []
    runs.of[OURS].append(run(0.5, native=False))
    runs.note_if_not_native(benchmark)
    assert benchmark.notes == [NOT_NATIVE]


def test_targets_of_matrix_tiles_are_judged_only_where_there_are_tiles(monkeypatch) -> None:
    times = {PRODUCTS: 60.0, OURS: 100.0, OURS_BF16_ROWS: 80.0, COMPILED: 170.0, COMPILED_KEPT: 160}
    case = Case("article", "ms a step", {side: [ms] for side, ms in times.items()})
    judged, left = Benchmark("train"), Benchmark("train")
    monkeypatch.setattr("benchmarks.train.has_amx", lambda: True)
    judge_with_tiles(judged, "article", case)
    assert [(t["value"], t["target"], t["met"]) for t in judged.targets] == [
        (0.75, 0.75, True),
        (2.0, 2.0, True),
        (0.6, 0.65, False),
        (1.6, 2.0, False),
    ]
    monkeypatch.setattr("benchmarks.train.has_amx", lambda: False)
    judge_with_tiles(left, "article", case)
    assert [target["name"] for target in left.targets] == [t["name"] for t in judged.targets]
    assert all(target["value"] is None for target in left.targets)
