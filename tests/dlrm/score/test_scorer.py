"""Probabilities from encoded rows, in memory and from files."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from contextlib import closing

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from plumbline.base.errors import DataError
from plumbline.base.files import file_sha256
from plumbline.columns.values import Lists, Text, offsets_of
from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.metrics.metrics import area_under_curve, check_outcomes, log_loss
from plumbline.dlrm.model.dlrm import DLRM
from plumbline.dlrm.model.model_card import write_model_card
from plumbline.dlrm.model.weights import save_model
from plumbline.dlrm.ops.library import cpu_module
from plumbline.dlrm.score.evaluation import clicks_of, column_blocks, evaluate, scored
from plumbline.dlrm.score.scorer import Scorer


@pytest.fixture(params=["native", "torch"])
def native_or_not(request, monkeypatch) -> None:
    """Native scoring and torch's, if both are available."""
    if request.param == "torch":
        monkeypatch.setenv("PLUMBLINE_NATIVE", "0")
    elif cpu_module() is None:
        pytest.skip("no native module here")


@pytest.fixture
def scorer(world, native_or_not) -> Scorer:
    return Scorer.of(DLRM(world.architecture, seed=1))


def encoded(world, files) -> tuple[np.ndarray, np.ndarray]:
    table = pa.concat_tables([pq.read_table(file) for file in files])
    ids = np.column_stack([table[name].to_numpy() for name in world.architecture.categorical])
    dense = np.column_stack([table[name].to_numpy() for name in world.architecture.continuous])
    return ids, dense


def test_score_is_the_sigmoid_of_the_logit(world, scorer):
    ids_BF, dense_BC = encoded(world, world.valid_files)
    probability_B = scorer.score(ids_BF, dense_BC)
    assert probability_B.dtype == np.float32
    with torch.no_grad():
        logit_B = DLRM(world.architecture, seed=1)(torch.tensor(ids_BF), torch.tensor(dense_BC))
    assert np.allclose(probability_B, 1 / (1 + np.exp(-logit_B.numpy())), atol=1e-6)


def test_any_memory_layout(world, scorer):
    ids_BF, dense_BC = encoded(world, world.valid_files)
    wanted = scorer.score(ids_BF, dense_BC)
    dense_BC = np.asfortranarray(dense_BC)
    ids_BF.flags.writeable = False
    assert np.array_equal(scorer.score(ids_BF, dense_BC), wanted)


def test_no_rows(scorer):
    assert scorer.score(np.empty((0, 5), np.int64), np.empty((0, 3), np.float32)).shape == (0,)


@pytest.mark.parametrize("bad", [-1, 9, 2**40, -(2**63)])
def test_an_id_out_of_range_is_refused(world, scorer, bad):
    ids_BF, dense_BC = encoded(world, world.valid_files)
    ids_BF[17, 1] = bad
    with pytest.raises(ModelError, match=f"Column 'C2': the model has ids 0 to 8, got {bad}"):
        scorer.score(ids_BF, dense_BC)


@pytest.mark.parametrize(
    ("ids", "dense", "message"),
    [
        (np.zeros((2, 4), np.int64), np.zeros((2, 3), np.float32), r"ids: .*\(rows, 5\), got"),
        (np.zeros(5, np.int64), np.zeros((2, 3), np.float32), r"ids: .*\(rows, 5\), got shape"),
        (np.zeros((2, 5), np.int32), np.zeros((2, 3), np.float32), "ids: .*int64, got int32"),
        (np.zeros((2, 5), np.int64), np.zeros((2, 3)), "dense: .*float32, got float64"),
        (np.zeros((2, 5), np.int64), np.zeros((3, 3), np.float32), "2 rows, as many as ids, got 3"),
    ],
)
def test_wrong_inputs_are_refused(scorer, ids, dense, message):
    with pytest.raises(ModelError, match=message):
        scorer.score(ids, dense)


def test_load_checks_the_plan(world, scorer, tmp_path):
    save_model(tmp_path, DLRM(world.architecture, seed=1), "ab" * 32)
    rows = encoded(world, world.valid_files)
    for expected in ("ab" * 32, None):
        assert np.array_equal(Scorer.load(tmp_path, expected).score(*rows), scorer.score(*rows))
    with pytest.raises(ModelError, match="wanted a model of feature plan cdcdcdcdcdcd…, found"):
        Scorer.load(tmp_path, "cd" * 32)


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
def test_load_checks_the_files(world, tmp_path, native_or_not, name):
    save_model(tmp_path, DLRM(world.architecture, seed=1), "ab" * 32)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content.replace(b"0", b"1") + b"\n")
    with pytest.raises(ModelError, match=f"{name}: wanted SHA-256"):
        Scorer.load(tmp_path, None)
    (tmp_path / name).unlink()
    with pytest.raises(ModelError, match=f"{name}: missing from the model"):
        Scorer.load(tmp_path, None)


def test_load_checks_the_shapes(world, tmp_path, native_or_not):
    save_model(tmp_path, DLRM(world.architecture, seed=1), "ab" * 32)
    sha256 = file_sha256(tmp_path / "model.safetensors")
    larger = dataclasses.replace(world.architecture, cardinalities=(23, 9, 12, 5, 7))
    write_model_card(tmp_path, larger, "ab" * 32, sha256)
    with pytest.raises(ModelError, match=r"tables.weight: wanted \(56, 4\) .*found \(55, 4\)"):
        Scorer.load(tmp_path, None)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("rows", ["fp32", "bf16"])
def test_loaded_and_in_memory_native_and_torch_agree(world, tmp_path, monkeypatch, precision, rows):
    architecture = dataclasses.replace(world.architecture, embedding_rows=rows)
    model = DLRM(architecture, seed=1)
    save_model(tmp_path, model, "ab" * 32)
    encoded_rows = encoded(world, world.valid_files)
    loaded = Scorer.load(tmp_path, None, precision=precision)
    assert (loaded.architecture, loaded.precision) == (architecture, precision)
    actual = loaded.score(*encoded_rows)
    assert np.array_equal(Scorer.of(model, precision=precision).score(*encoded_rows), actual)
    monkeypatch.setenv("PLUMBLINE_NATIVE", "0")
    in_torch = Scorer.load(tmp_path, None, precision=precision, threads=1).score(*encoded_rows)
    assert np.allclose(actual, in_torch, atol=1e-6 if precision == "fp32" else 2e-3)


def imported_by(code: str, names: set[str]) -> str:
    """The modules of `names` that the code imports; empty if none."""
    code = f"import sys; {code}; sys.exit(', '.join(sorted({names} & set(sys.modules))) or None)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return done.stderr


def test_the_serving_path_imports_no_merlin():
    heavy = {"merlin", "pandas", "pyarrow", "pydantic", "dask"}
    assert imported_by("import plumbline.dlrm.score.scorer", heavy) == ""


@pytest.mark.skipif(cpu_module() is None, reason="no native module here")
def test_scoring_natively_imports_no_torch(world, tmp_path):
    save_model(tmp_path, DLRM(world.architecture, seed=1), "ab" * 32)
    code = (
        "import numpy as np; from pathlib import Path; "
        "from plumbline.dlrm.score.scorer import Scorer; "
        f"scorer = Scorer.load(Path({str(tmp_path)!r}), None, precision='bf16'); "
        "scorer.score(np.zeros((2, 5), np.int64), np.zeros((2, 3), np.float32))"
    )
    assert imported_by(code, {"torch", "safetensors"}) == ""


def score_files(scorer, files, batch_size=8192):
    """probability_B of all rows, in file order."""
    with closing(scored(scorer, files, batch_size)) as blocks:
        return np.concatenate([np.empty(0, np.float32), *(scores_B for _, scores_B in blocks)])


@pytest.mark.parametrize("batch_size", [7, 300, 8192])
def test_files_are_scored_in_row_order(world, scorer, batch_size):
    got = score_files(scorer, world.train_files, batch_size)
    assert np.allclose(got, scorer.score(*encoded(world, world.train_files)), atol=1e-6)
    assert len(got) == 1155


def test_evaluate_judges_what_it_scored(world, scorer):
    done: list[int] = []
    metrics = evaluate(scorer, world.valid_files, 64, done.append)
    click_B = np.concatenate([pq.read_table(file)["click"] for file in world.valid_files])
    probability_B = score_files(scorer, world.valid_files, 64)
    assert metrics.auc == area_under_curve(click_B, probability_B)
    assert metrics.logloss == pytest.approx(log_loss(click_B, probability_B), rel=1e-14)
    assert metrics.rows == sum(done) == 600


@pytest.mark.parametrize("rows", [1, 100, 300, 301, 2000])
def test_a_column_is_read_in_blocks(world, rows):
    wanted = np.concatenate([pq.read_table(file)["I10"] for file in world.train_files])
    blocks = list(column_blocks(world.train_files, "I10", rows))
    assert np.array_equal(np.concatenate(blocks), wanted)
    assert [len(block) for block in blocks[:-1]] == [rows] * ((len(wanted) - 1) // rows)
    assert list(column_blocks([world.train_files[3]], "I10")) == []


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("C2", None, "x.parquet: wanted the encoded columns of the model, but C2 is missing"),
        ("C2", pa.array([1, None]), "column 'C2': wanted int64 without nulls, got int64 with 1"),
        ("C2", pa.array([1, 2], pa.int16()), "column 'C2': wanted int64 .*got int16"),
        ("I1", pa.array([1.0, 2.0]), "column 'I1': wanted float without nulls, got double"),
    ],
)
def test_files_that_do_not_fit_are_refused(world, scorer, tmp_path, column, values, message):
    table = pq.read_table(world.valid_files[0]).slice(0, 2)
    table = table.drop_columns([column])
    if values is not None:
        table = table.append_column(column, values)
    pq.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(DataError, match=message):
        score_files(scorer, [tmp_path / "x.parquet"])


@pytest.mark.parametrize(
    ("click", "message"),
    [
        (None, "x.parquet: .* click is missing"),
        (pa.array([1, 1], pa.int8()), "with and without a click, got 2 clicks in 2 rows"),
        (pa.array([1, None], pa.int8()), "clicks of 0 and 1, got other values"),
    ],
)
def test_clicks_that_cannot_be_judged_are_refused(world, scorer, tmp_path, click, message):
    table = pq.read_table(world.valid_files[0]).slice(0, 2).drop_columns(["click"])
    if click is not None:
        table = table.append_column("click", click)
    pq.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(DataError, match=message):
        check_outcomes(*clicks_of([tmp_path / "x.parquet"]))
    with pytest.raises(DataError):
        evaluate(scorer, [tmp_path / "x.parquet"])


def list_rows(list_world, files) -> tuple[np.ndarray, np.ndarray, list[Lists]]:
    table = pa.concat_tables([pq.read_table(file) for file in files])
    ids = np.column_stack([table[name].to_numpy() for name in list_world.architecture.single])
    bags = []
    for name in list_world.architecture.bags:
        rows = table[name].to_pylist()
        flat = np.array([value for row in rows for value in row], np.int64)
        bags.append(Lists(flat, offsets_of(np.array([len(row) for row in rows]))))
    return ids.astype(np.int64), table["I1"].to_numpy()[:, np.newaxis], bags


@pytest.mark.parametrize("batch_size", [7, 300, 8192])
def test_lists_in_files_are_scored_in_row_order(list_world, batch_size):
    scorer = Scorer.of(DLRM(list_world.architecture, seed=1))
    for files in (list_world.train_files, list_world.valid_files):
        wanted = scorer.score(*list_rows(list_world, files))
        assert np.allclose(score_files(scorer, files, batch_size), wanted, atol=1e-6)


def test_a_list_scores_alone_as_among_others(list_world, native_or_not):
    """Equal bits, as in the matrix products, since the layers' widths are powers of two."""
    scorer = Scorer.of(DLRM(list_world.architecture, seed=1))
    ids_BF, dense_BC, bags = list_rows(list_world, list_world.valid_files)
    together = scorer.score(ids_BF, dense_BC, bags)
    for row in range(5):
        rows = np.array([row])
        alone = scorer.score(ids_BF[rows], dense_BC[rows], [bag.take(rows) for bag in bags])
        assert alone == pytest.approx(together[row], abs=1e-7)


def test_lists_that_do_not_fit_are_refused(list_world, native_or_not):
    scorer = Scorer.of(DLRM(list_world.architecture, seed=1))
    ids_BF, dense_BC = np.zeros((2, 2), np.int64), np.zeros((2, 1), np.float32)
    good = Lists(np.array([1, 6, 2]), np.array([0, 1, 3]))
    scorer.score(ids_BF, dense_BC, [good, good])
    for bad, message in (
        ([good], "bags: the model wants 2 list columns, got 1"),
        (
            [good, Lists(np.array([7]), np.array([0, 0, 1]))],
            "Column 'apple': the model has ids 0 to 6, got 7",
        ),
        (
            [Lists(np.array([-1]), np.array([0, 0, 1])), good],
            "Column 'tags': the model has ids 0 to 12, got -1",
        ),
        ([good, Lists(good.values, np.array([0, 3]))], "'apple': the model wants 2 lists, .*got 1"),
        ([good, Lists(good.values, np.array([0, 4, 3]))], "wants offsets that rise from 0 to 3"),
        ([good, Lists(good.values, np.array([0, 1, 2]))], "wants offsets that rise from 0 to 3"),
        (
            [good, Lists(good.values.astype(np.int32), good.offsets)],
            r"wants ids as one row of int64, got int32 of shape \(3,\)",
        ),
        ([good, Lists(Text.from_objects([b"a"]), good.offsets)], "row of int64, got Text"),
    ):
        with pytest.raises(ModelError, match=message):
            scorer.score(ids_BF, dense_BC, bad)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (pa.array([[1], None]), "column 'tags': wanted lists of int64 without nulls, got list"),
        (pa.array([[1], [None]]), "column 'tags': wanted lists of int64 without nulls, got int64"),
        (pa.array([1, 2]), "column 'tags': wanted lists of int64 without nulls, got int64 with 0"),
    ],
)
def test_files_whose_lists_do_not_fit_are_refused(list_world, tmp_path, values, message):
    table = pq.read_table(list_world.valid_files[0]).slice(0, 2).drop_columns(["tags"])
    pq.write_table(table.append_column("tags", values), tmp_path / "x.parquet")
    with pytest.raises(DataError, match=message):
        score_files(Scorer.of(DLRM(list_world.architecture, seed=1)), [tmp_path / "x.parquet"])
