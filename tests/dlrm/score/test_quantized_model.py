"""A model folder in int8: its size, its scores, and what refuses it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.model.dlrm import DLRM
from plumbline.dlrm.model.model_card import read_model_card
from plumbline.dlrm.model.weights import load_model, save_model
from plumbline.dlrm.onnx.export import onnx_model
from plumbline.dlrm.score.quantized_model import write_quantized_model
from plumbline.dlrm.score.scorer import Scorer
from tests.dlrm.kernels import ladder_scoring as ladder


def saved(folder, name: str = "lists too") -> DLRM:
    model = ladder.model_of(ladder.ARCHITECTURES[name])
    save_model(folder, model, "ab" * 32)
    return model


@pytest.mark.parametrize("name", ladder.ARCHITECTURES)
def test_files_memory_and_numpy_give_the_same_scores(tmp_path, monkeypatch, name):
    model = saved(tmp_path / "trained", name)
    write_quantized_model(tmp_path / "trained", tmp_path / "int8")
    rows = ladder.draw(model.architecture, 50)
    inputs = (rows.ids_BF, rows.dense_BC, rows.bags)
    wanted = Scorer.load(tmp_path / "int8", "ab" * 32, precision="int8").score(*inputs)
    for other in (
        Scorer.of(model, precision="int8"),
        Scorer.load(tmp_path / "trained", None, precision="int8"),
    ):
        assert np.array_equal(other.score(*inputs), wanted)
    monkeypatch.setenv("PLUMBLINE_NATIVE", "0")
    in_numpy = Scorer.load(tmp_path / "int8", None, precision="int8").score(*inputs)
    np.testing.assert_array_almost_equal_nulp(in_numpy, wanted, 4)


def test_the_card_names_the_trained_model(tmp_path):
    saved(tmp_path / "trained")
    card = write_quantized_model(tmp_path / "trained", tmp_path / "int8")
    trained = read_model_card(tmp_path / "trained")
    assert card == read_model_card(tmp_path / "int8")
    assert card.quantized_from == trained.model_hash != card.model_hash
    assert (card.architecture, card.plan_hash) == (trained.architecture, trained.plan_hash)
    assert json.loads((tmp_path / "int8" / "model.json").read_text())["format_version"] == 4
    again = write_quantized_model(tmp_path / "trained", tmp_path / "int8")
    assert again == card


def test_tables_take_a_quarter_of_float32_and_a_scale_a_row(tmp_path):
    of = ladder.architecture(6, 0, 1, 128)
    save_model(tmp_path / "trained", DLRM(of, 1), "ab" * 32)
    write_quantized_model(tmp_path / "trained", tmp_path / "int8")
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("trained", "int8")]
    rows = sum(of.cardinalities)
    assert abs(sizes[0] - sizes[1] - rows * (128 * 3 - 4)) < 1000


def test_a_model_in_int8_is_only_scored_in_int8(tmp_path):
    saved(tmp_path / "trained")
    write_quantized_model(tmp_path / "trained", tmp_path / "int8")
    for use, wanted in (
        (lambda: Scorer.load(tmp_path / "int8", None), "a model to score in fp32"),
        (lambda: Scorer.load(tmp_path / "int8", None, precision="bf16"), "to score in bf16"),
        (lambda: load_model(tmp_path / "int8"), "a trained model"),
        (lambda: onnx_model(tmp_path / "int8"), "a trained model for ONNX"),
        (lambda: write_quantized_model(tmp_path / "int8", tmp_path / "x"), "a trained model"),
    ):
        with pytest.raises(ModelError, match=f"model.json: wanted .*{wanted}, found one in int8"):
            use()


def test_changed_weights_are_refused(tmp_path):
    saved(tmp_path / "trained")
    write_quantized_model(tmp_path / "trained", tmp_path / "int8")
    file = tmp_path / "int8" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x55")
    with pytest.raises(ModelError, match=r"model\.safetensors: wanted SHA-256"):
        Scorer.load(tmp_path / "int8", None, precision="int8")


def test_rows_of_large_tables_are_quantized_part_by_part(monkeypatch):
    model = ladder.model_of(ladder.ARCHITECTURES["usual"])
    rows = ladder.draw(model.architecture, 20)
    inputs = (rows.ids_BF, rows.dense_BC, rows.bags)
    wanted = Scorer.of(model, precision="int8").score(*inputs)
    monkeypatch.setattr("plumbline.dlrm.score.quantization.ROWS_AT_A_TIME", 7)
    assert np.array_equal(Scorer.of(model, precision="int8").score(*inputs), wanted)
