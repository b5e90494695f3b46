"""A repository whose hashes fit is refused for what its files say, in one line."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from plumbline.base.errors import PlumblineError
from plumbline.base.files import file_sha256
from plumbline.serving.contract.check_rows import CheckRows
from plumbline.serving.contract.interface import KINDS, read_wire_columns
from plumbline.serving.contract.log_rules import LogRules
from plumbline.serving.contract.versions import parameters_of, verify_repository, versions_from_json
from plumbline.serving.errors import RepositoryError, ServerError
from plumbline.serving.publish.live_repository import JOURNAL_FILE, Journal
from plumbline.serving.repository.configs import read_config

DEEP = "[" * 100_000 + "]" * 100_000


MANIFEST = "ctr_fused/1/manifest.json"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("files", {"../../../model/model.json": "x"}, "inside of this folder"),
        ("files", {"/etc/passwd": "x"}, "inside of this folder"),
        ("files", {"plan": "x"}, "wanted a plain file"),
        ("files", {"model.py": 5}, "wanted text, got 5"),
        ("files", ["model.py"], "files: wanted an object"),
        ("precision", ["fp32"], "precision: wanted one of"),
        ("precision", "fp8", "precision: wanted one of"),
        ("model_hash", 7, "model_hash: wanted text or null"),
        ("format_version", 2, "of format version 2"),
        ("more", 1, "wanted .'files'"),
    ],
)
def test_a_wrong_manifest(repository: Path, key: str, value: Any, message: str) -> None:
    file = repository / MANIFEST
    content = json.loads(file.read_bytes())
    content[key] = value
    file.write_text(json.dumps(content))
    integrity = json.loads((repository / "integrity.json").read_bytes())
    integrity["files"][MANIFEST] = file_sha256(file)
    (repository / "integrity.json").write_text(json.dumps(integrity))
    with pytest.raises(RepositoryError, match=message):
        verify_repository(repository, large_files=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (DEEP, "nested too deeply"),
        ('{"format_version": 1, "files": []}', "files: wanted an object"),
        ('{"format_version": 1e999}', "not finite"),
        ("[1]", "the hashes of a repository"),
    ],
    ids=["depth", "a list", "infinity", "no object"],
)
def test_a_wrong_list_of_hashes(repository: Path, text: str, message: str) -> None:
    (repository / "integrity.json").write_text(text)
    with pytest.raises(RepositoryError, match=message):
        verify_repository(repository, large_files=False)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../model/model.json", "inside of this folder"),
        ("ctr/../../x", "inside of this folder"),
        ("/etc/passwd", "inside of this folder"),
        ("ctr/a\0", "inside of this folder"),
        ("ctr", "wanted a plain file"),
        ("ctr/\ud800", "wanted text"),
        ("ctr/nothing", "missing from"),
    ],
)
def test_a_file_of_another_place(repository: Path, name: str, message: str) -> None:
    content = json.loads((repository / "integrity.json").read_bytes())
    content["files"][name] = "x"
    (repository / "integrity.json").write_text(json.dumps(content))
    with pytest.raises(RepositoryError, match=message):
        verify_repository(repository, large_files=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (DEEP, "nested too deeply"),
        ('{"x": {"plan_hash": "a", "model_hash": null, "manifest_sha256": "b"}}', "by its number"),
        (
            '{"1": {"plan_hash": 1, "model_hash": null, "manifest_sha256": "b"}}',
            "plan_hash: wanted",
        ),
        (
            '{"1": {"plan_hash": "a", "model_hash": null, "manifest_sha256": "b", "rules": [1]}}',
            "rules",
        ),
        ('{"1": []}', "wanted an object"),
        ("[]", "the config parameter 'versions'"),
    ],
    ids=["depth", "name", "hash", "rules", "a list", "no object"],
)
def test_wrong_versions_of_a_config(text: str, message: str) -> None:
    with pytest.raises(RepositoryError, match=message):
        versions_from_json("ctr", text)
    with pytest.raises(RepositoryError):
        parameters_of("ctr", {"versions": text}, "1")


@pytest.mark.parametrize("text", [DEEP, "[]", "3", '{"a": {}}', '{"a": "image"}'])
def test_wrong_kinds_of_a_config(text: str) -> None:
    with pytest.raises(ServerError, match=r"no readable parameter|is of kind"):
        read_wire_columns("ctr", {KINDS: text})


@pytest.mark.parametrize(
    "parameters",
    [
        {"log": DEEP},
        {"log": "{}", "tables": "[]"},
        {"log": "[]"},
        {"log": '{"format": "csv"}', "tables": DEEP},
        {"log": '{"format": "csv"}', "tables": '{"t": 5}'},
    ],
)
def test_wrong_rules_of_a_config(parameters: dict[str, str]) -> None:
    with pytest.raises(ServerError, match="settings of the log"):
        LogRules.of_parameters("ctr", parameters)


def test_a_config_nested_too_deeply(repository: Path) -> None:
    file = repository / "ctr" / "config.pbtxt"
    file.write_text("instance_group { rate_limiter { resources { " * 20_000)
    with pytest.raises(RepositoryError, match="a model config"):
        read_config(file)


@pytest.mark.parametrize(
    ("key", "value"),
    [("number", "../../model"), ("number", "1/../.."), ("configs", {"../x": ""}), ("integrity", 1)],
)
def test_a_journal_of_another_place(repository: Path, key: str, value: Any) -> None:
    """A publish that is rolled back removes the folder that its journal names."""
    configs = dict.fromkeys(("ctr", "ctr_dlrm", "ctr_features", "ctr_fused"), "")
    content = {"format_version": 2, "number": "2", "configs": configs, "integrity": "{}"}
    (repository / JOURNAL_FILE).write_text(json.dumps(content))
    assert Journal.read(repository) is not None
    (repository / JOURNAL_FILE).write_text(json.dumps({**content, key: value}))
    with pytest.raises(RepositoryError, match="the journal of a publish"):
        Journal.read(repository)


def table(array: pa.Array, role: str = "output", shape: str = "[2]", name: str = "x") -> pa.Table:
    metadata = {"role": role, "shape": shape}
    fields = [
        pa.field("in", pa.list_(pa.float32(), 1), metadata={"role": "input", "shape": "[1]"}),
        pa.field(name, array.type, metadata=metadata),
    ]
    ones = pa.FixedSizeListArray.from_arrays(pa.array(np.ones(len(array)), pa.float32()), 1)
    return pa.table([ones, array], schema=pa.schema(fields))


def pairs(values: Any) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(values), 2)


NUMBERS = pairs(np.arange(4, dtype=np.float32))
CHECKS = {
    "rows of nothing": (table(NUMBERS[:0]), "there are none"),
    "no output": (table(NUMBERS, role="input"), "there are none"),
    "an unknown role": (table(NUMBERS, role="x"), "check rows"),
    "a shape that does not fit": (table(NUMBERS, shape="[3]"), "cannot reshape"),
    "a shape of any size": (table(NUMBERS, shape="[-1]"), "the shape of a row is"),
    "a shape that is none": (table(NUMBERS, shape='"2"'), "the shape of a row is"),
    "a deep shape": (table(NUMBERS, shape=DEEP), "nested too deeply"),
    "plain numbers": (table(pa.array([1.0, 2.0])), "a column is of double"),
    "bools": (table(pairs([True] * 4)), "a column is of fixed_size_list<item: bool>"),
    "nested lists": (table(pa.array([[[1]], [[2]]])), "a column is of list"),
    "nulls": (table(pairs(pa.array([1.0, None, 2.0, 3.0], pa.float32()))), "a value is null"),
    "null rows": (table(pa.array([[1.0, 2.0], None], pa.list_(pa.float32(), 2))), "check rows"),
    "a name twice": (table(NUMBERS, name="in"), "check rows"),
}


@pytest.mark.parametrize("name", CHECKS)
def test_check_rows_of_another_form(tmp_path: Path, name: str) -> None:
    content, message = CHECKS[name]
    with pa.ipc.new_file(tmp_path / "check.arrow", content.schema) as writer:
        writer.write_table(content)
    with pytest.raises(RepositoryError, match=message):
        CheckRows.read(tmp_path / "check.arrow")


def test_check_rows_that_unpack_to_more(tmp_path: Path) -> None:
    content = table(pairs(np.zeros(2_000_000, np.float32)))
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_file(tmp_path / "check.arrow", content.schema, options=options) as writer:
        writer.write_table(content)
    with pytest.raises(RepositoryError, match="its buffers are compressed"):
        CheckRows.read(tmp_path / "check.arrow")


@pytest.mark.parametrize("name", ["check.arrow", "manifest.json", "plan/plan.json"])
def test_pipes_are_not_waited_for(repository: Path, name: str) -> None:
    file = repository / "ctr_fused" / "1" / name
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(PlumblineError, match="wanted a plain file"):
        verify_repository(repository, large_files=True)
    with pytest.raises(PlumblineError, match="wanted a plain file"):
        CheckRows.read(file)
