"""A stored model is read back to the bit, or refused with the file's name."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch

from plumbline.base.files import json_sha256
from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.model.dlrm import DLRM
from plumbline.dlrm.model.model_card import read_model_card
from plumbline.dlrm.model.weights import load_model, save_model
from plumbline.dlrm.tensors.tensor_file import read_tensors, write_tensors

PLAN_HASH = "ab" * 32


@pytest.fixture
def folder(world, tmp_path: Path) -> Path:
    save_model(tmp_path, DLRM(world.architecture, seed=1), PLAN_HASH)
    return tmp_path


def rewrite(folder: Path, **changes: object) -> None:
    """Change `model.json` with a hash that fits."""
    content = json.loads((folder / "model.json").read_text())
    del content["model_hash"]
    content |= changes
    (folder / "model.json").write_text(json.dumps({**content, "model_hash": json_sha256(content)}))


def test_there_and_back(folder, world):
    model = load_model(folder)
    assert model.architecture == world.architecture
    assert not model.training
    wanted = DLRM(world.architecture, seed=1).state_dict()
    got = model.state_dict()
    assert got.keys() == wanted.keys()
    assert all(torch.equal(got[name], weight) for name, weight in wanted.items())
    assert sorted(file.name for file in folder.iterdir()) == ["model.json", "model.safetensors"]


def test_card_says_what_the_model_is(folder, world, tmp_path):
    card = read_model_card(folder)
    assert card.plan_hash == PLAN_HASH
    assert card.architecture == world.architecture
    same = save_model(tmp_path / "same", DLRM(world.architecture, seed=1), PLAN_HASH)
    other = save_model(tmp_path / "other", DLRM(world.architecture, seed=2), PLAN_HASH)
    replanned = save_model(tmp_path / "plan", DLRM(world.architecture, seed=1), "cd" * 32)
    assert same.model_hash == card.model_hash
    assert len({card.model_hash, other.model_hash, replanned.model_hash}) == 3


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
def test_missing_file(folder, name):
    (folder / name).unlink()
    with pytest.raises(ModelError, match=f"{name}: missing from the model"):
        load_model(folder)


def test_changed_weights(folder):
    file = folder / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(ModelError, match=r"model.safetensors: wanted SHA-256 \w{12}…, found"):
        load_model(folder)


def test_changed_card(folder):
    file = folder / "model.json"
    file.write_text(file.read_text().replace(PLAN_HASH, "cd" * 32))
    with pytest.raises(ModelError, match=r"model\.json: wanted SHA-256"):
        load_model(folder)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format_version": 3}', '{"format_version": "x"}']
)
def test_card_that_is_none(folder, text):
    (folder / "model.json").write_text(text)
    with pytest.raises(ModelError, match=r"model\.json: not a trained model"):
        load_model(folder)


@pytest.mark.parametrize("version", [2, 5])
def test_another_format(folder, version):
    rewrite(folder, format_version=version)
    with pytest.raises(
        ModelError, match=f"format version {version}, but this Plumbline reads 3 and 4"
    ):
        load_model(folder)


def test_weights_of_another_shape(folder, world):
    content = world.architecture.to_json()
    rewrite(folder, architecture={**content, "cardinalities": [23, 9, 12, 5, 7]})
    with pytest.raises(ModelError, match=r"tables.weight: wanted \(56, 4\) .*found \(55, 4\)"):
        load_model(folder)


def test_weights_that_are_no_safetensors(folder):
    (folder / "model.safetensors").write_bytes(b"not tensors")
    rewrite(folder, weights_sha256=hashlib.sha256(b"not tensors").hexdigest())
    with pytest.raises(ModelError, match=r"not a trained model: no safetensors file"):
        load_model(folder)


def test_a_write_cut_off_leaves_no_model(folder, world, monkeypatch):
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("plumbline.dlrm.model.weights.write_tensors", fail)
    with pytest.raises(KeyboardInterrupt):
        save_model(folder, DLRM(world.architecture, seed=2), PLAN_HASH)
    with pytest.raises(ModelError, match=r"model\.json: missing"):
        load_model(folder)


def test_strided_tensors_are_stored(tmp_path):
    turned = torch.arange(6.0).view(2, 3).T
    sha256 = write_tensors(tmp_path / "t.safetensors", {"turned": turned})
    assert torch.equal(read_tensors(tmp_path / "t.safetensors", sha256)["turned"], turned)


def test_a_model_of_lists_there_and_back(list_world, tmp_path):
    save_model(tmp_path, DLRM(list_world.architecture, seed=1), PLAN_HASH)
    assert load_model(tmp_path).architecture == list_world.architecture
