"""Training learns, repeats to the bit, resumes where it was interrupted, and checks its input."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from plumbline.base.errors import DataError, StageError
from plumbline.base.sealed_json import write_sealed
from plumbline.dlrm.data.loader import DataLoader, Order
from plumbline.dlrm.data.merlin_loader import MerlinLoader
from plumbline.dlrm.data.parquet_loader import ParquetLoader
from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.model.dlrm import DLRM
from plumbline.dlrm.model.model_card import read_model_card
from plumbline.dlrm.model.weights import load_model
from plumbline.dlrm.score.evaluation import evaluate
from plumbline.dlrm.score.scorer import Scorer
from plumbline.dlrm.train.averaging import UPDATES, AveragedTrainer, averaged
from plumbline.dlrm.train.fused_trainer import FusedTrainer
from plumbline.dlrm.train.growth import Start
from plumbline.dlrm.train.merlin_trainer import MerlinTrainer
from plumbline.dlrm.train.output_bias import FARTHEST, fit_output_bias, shift_to
from plumbline.dlrm.train.training import Epoch, TrainResult, loss_curve, train
from plumbline.dlrm.train.training_plan import PlannedTraining
from plumbline.dlrm.train.whole_model import WholeModelTrainer
from plumbline.nvtabular.merlin_data import merlin_dataset, merlin_schema

SETTINGS = PlannedTraining(
    epochs=3,
    batch_size=32,
    learning_rate=5e-3,
    embedding_learning_rate=5e-2,
    checkpoint_every=10,
    precision="fp32",
    averaging=False,
    fit_bias=False,
)
STEPS = 3 * 37  # 1,155 rows are 37 batches of 32


class CutOff(Exception):
    """The power fails."""


def trainer_of(world, name: str, training: PlannedTraining, seed: int) -> WholeModelTrainer:
    if name == "fused":
        return FusedTrainer(world.architecture, training, seed, "cpu")
    return MerlinTrainer(world.architecture, training, seed, "cpu", merlin_schema(world.plan))


def loader_of(world, name: str, files: list[Path], batch_size: int) -> DataLoader:
    if name == "parquet":
        return ParquetLoader(files, world.architecture, batch_size)
    dataset = merlin_dataset(files, world.plan, "cpu")
    return MerlinLoader(dataset, world.architecture, batch_size, "cpu")


def run_in(
    world,
    out: Path,
    training: PlannedTraining = SETTINGS,
    *,
    trainer: str = "fused",
    loader: str = "parquet",
    seed: int = 1,
    train_files: list[Path] | None = None,
    start: Start | None = None,
    **changes,
) -> TrainResult:
    files = world.train_files if train_files is None else train_files
    arguments = {"valid_files": world.valid_files, "plan_hash": world.plan.content_hash, **changes}
    rows = loader_of(world, loader, files, training.batch_size)
    new = trainer_of(world, trainer, training, seed)
    if start is not None:
        new.load(start.state)
        arguments["started_from"] = start.model_hash
    return train(
        averaged(new, training, rows.rows),
        rows,
        training,
        seed=seed,
        out=out,
        **arguments,
    )


@pytest.fixture
def run(world, tmp_path) -> Callable[..., TrainResult]:
    return lambda out="run", **changes: run_in(world, tmp_path / out, **changes)


@pytest.fixture(scope="module")
def whole(world, tmp_path_factory) -> tuple[TrainResult, Path]:
    """An uninterrupted run, and its folder."""
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("whole")
    return run_in(world, out), out


@pytest.mark.parametrize("loader", ["parquet", "merlin"])
@pytest.mark.parametrize("trainer", ["fused", "merlin"])
def test_every_trainer_learns_from_every_loader_and_resumes(world, tmp_path, trainer, loader):
    kinds = {"trainer": trainer, "loader": loader}
    whole = run_in(world, tmp_path / "whole", **kinds)
    assert whole.valid[-1].auc > 0.72
    with pytest.raises(CutOff):
        run_in(world, tmp_path / "cut", progress=cut_after(1155 + 15 * 32), **kinds)
    taken_up = run_in(world, tmp_path / "cut", **kinds)
    assert without_times(taken_up) == without_times(whole)
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")


def cut_after(rows: int) -> Callable[[int], None]:
    """Progress that raises once `rows` rows of this run are done."""
    done = 0

    def progress(more: int) -> None:
        nonlocal done
        done += more
        if done >= rows:
            raise CutOff

    return progress


def without_times(result: TrainResult) -> TrainResult:
    return replace(result, samples_per_second=0, waiting_share=0)


def weights(folder: Path) -> bytes:
    return (folder / "model" / "model.safetensors").read_bytes()


def test_it_learns(whole, world):
    result, out = whole
    assert result.steps == STEPS
    assert result.samples_per_second > 0
    assert 0 < result.waiting_share < 1
    assert [step for step, _ in result.loss_curve] == list(range(1, STEPS + 1))
    losses = [loss for _, loss in result.loss_curve]
    assert result.final_loss == pytest.approx(np.mean(losses[-100:]))
    assert np.mean(losses[-20:]) < np.mean(losses[:20]) - 0.1
    assert len(result.valid) == 3
    assert result.valid[-1].auc > 0.72
    assert result.valid[-1].auc > result.valid[0].auc
    assert result.valid[-1].normalized_entropy < 0.95
    assert read_model_card(out / "model").plan_hash == world.plan.content_hash
    assert load_model(out / "model").architecture == world.architecture


def test_loss_curve_of_a_fixed_seed(whole):
    """Known answer; it may differ between processors only by rounding."""
    curve = [loss for _, loss in whole[0].loss_curve]
    actual = [np.mean(curve[i : i + 37]) for i in (0, 37, 74)]
    assert actual == pytest.approx([0.5412, 0.3490, 0.3088], abs=5e-3)


def test_two_runs_of_one_seed_are_equal_to_the_bit(run, world, tmp_path):
    torch.set_num_threads(2)
    short = {
        "training": SETTINGS.model_copy(update={"epochs": 2, "batch_size": 64}),
        "train_files": world.train_files[:2],
    }
    one, two, other = run("one", **short), run("two", **short), run("other", **short, seed=2)
    assert weights(tmp_path / "one") == weights(tmp_path / "two")
    assert without_times(one) == without_times(two)
    assert weights(tmp_path / "one") != weights(tmp_path / "other")
    assert one.valid != other.valid


@pytest.mark.parametrize(
    "rows",
    [
        5 * 32,  # before the first checkpoint
        25 * 32,  # in the middle of an epoch
        1155,  # the last batch of the first epoch
        1155 + 1,  # the first batch of the second
        2 * 1155 + 30 * 32,
        3 * 1155,  # the very last batch
    ],
)
def test_a_run_interrupted_and_resumed_equals_one_that_was_not(run, whole, tmp_path, rows):
    with pytest.raises(CutOff):
        run("cut", progress=cut_after(rows))
    done: list[int] = []
    taken_up = run("cut", progress=done.append)
    assert weights(tmp_path / "cut") == weights(whole[1])
    assert without_times(taken_up) == without_times(whole[0])
    assert sum(done) == 3 * 1155
    assert done[0] >= rows - 12 * 32  # it did not restart


def test_a_finished_run_is_not_trained_again(run, whole):
    first, out = whole
    before = weights(out)
    done: list[int] = []
    assert run(out=out, progress=done.append) == first
    assert done == [3 * 1155]
    assert weights(out) == before
    files = sorted(file.name for file in (out / "checkpoint").iterdir())
    assert files == ["checkpoint.json", f"step-{STEPS}.safetensors"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 2}, "seed: was 1, is 2"),
        ({"plan_hash": "f" * 64}, "plan_hash: was "),
        (
            {"training": SETTINGS.model_copy(update={"batch_size": 64})},
            "training.batch_size: was 32, is 64",
        ),
    ],
)
def test_a_checkpoint_of_other_settings_is_refused(run, changes, message):
    with pytest.raises(CutOff):
        run(progress=cut_after(20 * 32))
    with pytest.raises(StageError, match=f"run with other settings .*{message}.*--force"):
        run(**changes)


def test_how_often_checkpoints_are_written_may_change(run, whole, tmp_path):
    with pytest.raises(CutOff):
        run("cut", progress=cut_after(20 * 32))
    run("cut", training=SETTINGS.model_copy(update={"checkpoint_every": 7}))
    assert weights(tmp_path / "cut") == weights(whole[1])


def test_an_interrupted_write_of_a_checkpoint_keeps_the_previous_one(
    run, whole, tmp_path, monkeypatch
):
    def write_the_first_alone(file: Path, content: object) -> None:
        if file.exists():
            raise CutOff
        write_sealed(file, content)

    with monkeypatch.context() as patch:
        patch.setattr("plumbline.dlrm.train.checkpoint.write_sealed", write_the_first_alone)
        with pytest.raises(CutOff):
            run("cut")
    assert len(list((tmp_path / "cut" / "checkpoint").glob("*.safetensors"))) == 2
    run("cut")
    assert weights(tmp_path / "cut") == weights(whole[1])


def test_a_damaged_checkpoint_is_refused(run, tmp_path):
    with pytest.raises(CutOff):
        run(progress=cut_after(20 * 32))
    folder = tmp_path / "run" / "checkpoint"
    (tensors,) = folder.glob("*.safetensors")
    tensors.write_bytes(tensors.read_bytes()[:-1] + b"?")
    with pytest.raises(ModelError, match=r"step-20.safetensors: wanted SHA-256"):
        run()
    written = (folder / "checkpoint.json").read_text()
    edited = written.replace('"step": 20', '"step": "x"')
    for text in ("{}", "[" * 100_000, '{"format_version": 1e999}', edited, written[:-9]):
        (folder / "checkpoint.json").write_text(text)
        with pytest.raises(StageError, match=r"checkpoint\.json: not a training checkpoint"):
            run()


def test_a_loss_that_is_not_finite_names_the_step(run, world, tmp_path):
    table = pq.read_table(world.train_files[0])
    values = table["I1"].to_numpy().copy()
    values[0] = np.nan
    index = table.column_names.index("I1")
    pq.write_table(table.set_column(index, "I1", pa.array(values)), tmp_path / "nan.parquet")
    with pytest.raises(StageError, match=r"Training: the loss of step \d+ is nan"):
        run(train_files=[tmp_path / "nan.parquet"])


def test_no_rows_to_train_on(run, world):
    with pytest.raises(StageError, match="the training split has no rows"):
        run(train_files=[world.train_files[3]])


def test_validation_without_clicks_is_refused_before_training(run, world, tmp_path):
    table = pq.read_table(world.valid_files[0])
    index = table.column_names.index("click")
    zeros = pa.array(np.zeros(len(table), np.int8))
    pq.write_table(table.set_column(index, "click", zeros), tmp_path / "none.parquet")
    with pytest.raises(DataError, match="with and without a click, got 0 clicks in 300 rows"):
        run(valid_files=[tmp_path / "none.parquet"], progress=cut_after(0))


def test_a_long_loss_curve_is_averaged():
    curve = loss_curve([float(i) for i in range(1001)])
    assert len(curve) <= 200
    assert curve[0] == (6, 2.5)
    assert curve[-1][0] == 1001
    assert loss_curve([]) == ()


def test_lists_are_learnt_from_and_a_cut_off_run_ends_the_same(list_world, tmp_path):
    training = SETTINGS.model_copy(update={"epochs": 4})
    whole = run_in(list_world, tmp_path / "whole", training)
    assert whole.valid[-1].auc > 0.72
    with pytest.raises(CutOff):
        run_in(list_world, tmp_path / "cut", training, progress=cut_after(25 * 32))
    run_in(list_world, tmp_path / "cut", training)
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")


OVERFITTING = SETTINGS.model_copy(
    update={"epochs": 30, "learning_rate": 2e-2, "embedding_learning_rate": 0.2, "patience": 2}
)
"""Rates at which the validation log loss rises again after an epoch or two."""


@pytest.fixture(scope="module")
def stopped(world, tmp_path_factory) -> tuple[TrainResult, Path]:
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("stopped")
    return run_in(world, out, OVERFITTING, click_rate=0.3), out


def test_it_stops_without_improvement_and_keeps_the_best_epoch(stopped, world):
    result, out = stopped
    losses = [metrics.logloss for metrics in result.valid]
    assert result.best_epoch == int(np.argmin(losses))
    assert len(losses) == result.best_epoch + 1 + OVERFITTING.patience < OVERFITTING.epochs
    assert losses[-1] > losses[result.best_epoch]
    kept = evaluate(Scorer.load(out / "model", world.plan.content_hash), world.valid_files)
    assert kept == result.valid[result.best_epoch]


def test_without_early_stopping_every_epoch_is_trained_and_the_last_one_kept(run, world, tmp_path):
    training = OVERFITTING.model_copy(update={"epochs": 6, "early_stopping": False})
    result = run(training=training)
    assert len(result.epochs) == 6
    assert result.best_epoch == 5
    scorer = Scorer.load(tmp_path / "run" / "model", world.plan.content_hash)
    assert evaluate(scorer, world.valid_files) == result.valid[5]


@pytest.mark.parametrize(
    ("trainer", "after_best"), [("fused", 0), ("fused", 37), ("fused", 60), ("merlin", 37)]
)
def test_a_run_cut_off_around_its_best_epoch_ends_the_same(
    world, stopped, tmp_path, trainer, after_best
):
    """Interrupted at steps around the best epoch; the last is in the epoch before the end."""
    whole, out = stopped
    if trainer == "merlin":
        out = tmp_path / "whole"
        whole = run_in(world, out, OVERFITTING, trainer=trainer, click_rate=0.3)
    rows = 1155 * (whole.best_epoch + 1) + after_best * 31
    kinds = {"trainer": trainer, "click_rate": 0.3}
    with pytest.raises(CutOff):
        run_in(world, tmp_path / "cut", OVERFITTING, progress=cut_after(rows), **kinds)
    taken_up = run_in(world, tmp_path / "cut", OVERFITTING, **kinds)
    assert without_times(taken_up) == without_times(whole)
    assert weights(tmp_path / "cut") == weights(out)


def test_a_stopped_run_is_not_trained_on(run, stopped):
    first, out = stopped
    before = weights(out)
    assert run(out=out, training=OVERFITTING, click_rate=0.3) == first
    assert weights(out) == before


def test_each_epoch_is_reported_once(run):
    reported: list[tuple[int, Epoch]] = []
    with pytest.raises(CutOff):
        run(progress=cut_after(1155 + 32), report_epoch=lambda *epoch: reported.append(epoch))
    result = run(report_epoch=lambda *epoch: reported.append(epoch))
    assert reported == list(enumerate(result.epochs))
    curve = [loss for _, loss in result.loss_curve]
    assert [epoch.train_loss for epoch in result.epochs] == pytest.approx(
        [np.mean(curve[start : start + 37]) for start in (0, 37, 74)]
    )
    rates = [epoch.learning_rate for epoch in result.epochs]
    assert rates[0] == SETTINGS.learning_rate > rates[2] > 0


@pytest.mark.parametrize("trainer", ["fused", "merlin"])
def test_the_first_scores_are_near_the_click_rate(world, tmp_path, trainer):
    slow = SETTINGS.model_copy(
        update={"epochs": 1, "learning_rate": 1e-9, "embedding_learning_rate": 1e-9}
    )
    result = run_in(world, tmp_path / "run", slow, trainer=trainer, click_rate=0.02)
    assert result.valid[0].calibration * result.valid[0].click_rate == pytest.approx(0.02, rel=0.3)


@pytest.mark.parametrize("trainer", ["fused", "merlin"])
def test_a_sampled_split_gives_probabilities_of_all_rows(world, tmp_path, trainer):
    """All clicks, and a fifth of the other rows; the offset in the loss corrects for it."""
    table = pa.concat_tables([pq.read_table(file) for file in world.train_files])
    click_B = table["click"].to_numpy() == 1
    kept_B = click_B | (np.random.default_rng(3).random(len(click_B)) < 0.2)
    pq.write_table(table.filter(pa.array(kept_B)), tmp_path / "sampled.parquet")
    calibration = {}
    for offset in (0.0, -math.log(0.2)):
        biased = trainer_of(world, trainer, SETTINGS, 1)
        biased.logit_offset = offset
        result = train(
            biased,
            loader_of(world, "parquet", [tmp_path / "sampled.parquet"], 32),
            SETTINGS,
            seed=1,
            valid_files=world.valid_files,
            out=tmp_path / f"offset {offset}",
            plan_hash=world.plan.content_hash,
            click_rate=float(click_B[kept_B].mean()),
        )
        calibration[offset] = result.valid[result.best_epoch].calibration
    assert calibration[0.0] > 1.5
    assert calibration[-math.log(0.2)] == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("trainer", ["fused", "merlin"])
@pytest.mark.parametrize("averaging", [False, True])
def test_a_fitted_bias_meets_the_click_rate_of_the_training_rows(
    world, tmp_path, trainer, averaging
):
    """The bias starts far off, and training is too short to correct it."""
    training = SETTINGS.model_copy(
        update={"learning_rate": 1e-6, "fit_bias": True, "averaging": averaging}
    )
    kinds = {"trainer": trainer, "click_rate": 0.9}
    whole = run_in(world, tmp_path / "whole", training, **kinds)
    assert whole.valid[whole.best_epoch].calibration > 1.5
    assert whole.bias_shift < -1
    scorer = Scorer.load(tmp_path / "whole" / "model", world.plan.content_hash)
    assert evaluate(scorer, world.train_files).calibration == pytest.approx(1.0, abs=0.01)
    with pytest.raises(CutOff):
        run_in(world, tmp_path / "cut", training, progress=cut_after(1155 + 15 * 32), **kinds)
    taken_up = run_in(world, tmp_path / "cut", training, **kinds)
    assert without_times(taken_up) == without_times(whole)
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")


def test_a_fitted_bias_counts_the_rows_that_were_left_out(world, tmp_path):
    """The loader has every click and a fifth of the others; scores are calibrated for all rows."""
    table = pa.concat_tables([pq.read_table(file) for file in world.train_files])
    click_B = table["click"].to_numpy() == 1
    kept_B = click_B | (np.random.default_rng(3).random(len(click_B)) < 0.2)
    pq.write_table(table.filter(pa.array(kept_B)), tmp_path / "sampled.parquet")
    run_in(world, tmp_path / "run", click_rate=0.3)
    model = load_model(tmp_path / "run" / "model")
    model.last.bias.data += 3.0
    loader = loader_of(world, "parquet", [tmp_path / "sampled.parquet"], 32)
    assert fit_output_bias(model, loader, -math.log(0.2)) < -2
    assert evaluate(Scorer.of(model), world.train_files).calibration == pytest.approx(1, abs=0.15)


@given(
    st.lists(st.floats(-40, 40), min_size=1, max_size=30),
    st.floats(1e-4, 1 - 1e-4),
)
def test_a_shift_gives_the_rate(logits: list[float], rate: float) -> None:
    logit_B = np.array(logits)
    shift = shift_to(logit_B, rate)
    if abs(shift) < FARTHEST - 1e-6:
        assert float(np.mean(1 / (1 + np.exp(-(logit_B + shift))))) == pytest.approx(rate, rel=1e-6)
    elif shift > 0:
        assert logit_B.min() < 0
    else:
        assert logit_B.max() > 0


@pytest.mark.parametrize("trainer", ["fused", "merlin"])
def test_the_embeddings_start_at_the_deviation_of_the_settings(world, trainer):
    training = SETTINGS.model_copy(update={"embedding_deviation": 0.3})
    first = trainer_of(world, trainer, training, 1).canonical().tables.weight
    assert torch.equal(first, DLRM(world.architecture, 1, 0.3).tables.weight)
    assert first.std().item() == pytest.approx(0.3, rel=0.1)


def test_large_validation_splits_are_scored_in_part(world, whole):
    scorer = Scorer.load(whole[1] / "model", world.plan.content_hash)
    every = evaluate(scorer, world.valid_files, batch_size=50)
    third = evaluate(scorer, world.valid_files, batch_size=50, every=3)
    assert (every.rows, third.rows) == (600, 200)
    assert third.logloss == pytest.approx(every.logloss, rel=0.2)
    rows = np.concatenate([np.arange(start, start + 50) for start in range(0, 600, 150)])
    tables = pa.concat_tables([pq.read_table(file) for file in world.valid_files])
    assert third.click_rate == tables["click"].to_numpy()[rows].mean()


AVERAGED = SETTINGS.model_copy(update={"averaging": True})


@pytest.mark.parametrize("trainer", ["fused", "merlin"])
def test_an_averaged_run_interrupted_and_resumed_equals_one_that_was_not(world, tmp_path, trainer):
    whole = run_in(world, tmp_path / "whole", AVERAGED, trainer=trainer, click_rate=0.3)
    plain = run_in(world, tmp_path / "plain", trainer=trainer, click_rate=0.3)
    assert whole.loss_curve == plain.loss_curve  # the average changes no step
    assert weights(tmp_path / "whole") != weights(tmp_path / "plain")
    for rows in (25 * 32, 1155, 1155 + 2 * 32) if trainer == "fused" else (1155 + 2 * 32,):
        out = tmp_path / f"cut {rows}"
        kinds = {"trainer": trainer, "click_rate": 0.3}
        with pytest.raises(CutOff):
            run_in(world, out, AVERAGED, progress=cut_after(rows), **kinds)
        taken_up = run_in(world, out, AVERAGED, **kinds)
        assert without_times(taken_up) == without_times(whole)
        assert weights(out) == weights(tmp_path / "whole")


def test_the_average_is_the_one_that_its_formula_gives(world):
    live = trainer_of(world, "fused", SETTINGS, 1)
    between = 3
    trainer = AveragedTrainer(live, epoch_steps=UPDATES * between)
    trainer.start_at(-1.0)
    wanted = {name: t.double().clone() for name, t in live.canonical().state_dict().items()}
    assert wanted["last.bias"].item() == -1.0
    batches = loader_of(world, "parquet", world.train_files, 32).batches(Order(1, 0))
    for step, batch in enumerate(islice(batches, 12), start=1):
        trainer.step(batch, 1.0)
        if step % between == 0:
            decay = (step // between) / (step // between + 4)
            for name, tensor in live.canonical().state_dict().items():
                wanted[name] = decay * wanted[name] + (1 - decay) * tensor.double()
    for name, tensor in trainer.canonical().state_dict().items():
        assert torch.allclose(tensor.double(), wanted[name], atol=1e-6), name


def test_rows_of_bfloat16_are_averaged_in_float32(world, tmp_path):
    narrow = replace(world, architecture=replace(world.architecture, embedding_rows="bf16"))
    result = run_in(narrow, tmp_path / "run", AVERAGED, click_rate=0.3)
    assert result.valid[-1].auc > 0.72
    stored = load_model(tmp_path / "run" / "model").tables.weight
    assert stored.dtype == torch.bfloat16
