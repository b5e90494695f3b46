"""Feature plans on disk: written, read, and refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from features.errors import PlanError
from features.hashing import json_sha256
from features.plan import InputColumn, OutputColumn, Plan, read_plan, write_plan
from features.steps import Categorify, Clip, FillMissing, Normalize
from features.vocabulary import Vocabulary

INPUTS = (
    InputColumn("count", "continuous"),
    InputColumn("user", "integer"),
    InputColumn("city", "string"),
)
OUTPUTS = (
    OutputColumn("user", "user", (Categorify(2, 0, "", ""),)),
    OutputColumn("city", "city", (Categorify(0, 0, "", ""),)),
    OutputColumn("count", "count", (FillMissing(0.0), Clip(None, 9.5), Normalize(0.1, 0.3))),
)


def vocabulary(*values: int | str) -> Vocabulary:
    ids = pa.array(range(3, 3 + len(values)), pa.int64())
    type_ = pa.int64() if values and isinstance(values[0], int) else pa.string()
    return Vocabulary(pa.array(values, type_), ids, ids)


VOCABULARIES = {"user": vocabulary(2**63 - 1, -5), "city": vocabulary()}


@pytest.fixture
def written(tmp_path: Path) -> Plan:
    return write_plan(tmp_path / "plan", INPUTS, OUTPUTS, VOCABULARIES)


def test_read_gives_what_was_written(written: Plan) -> None:
    plan = read_plan(written.folder)
    assert plan == written
    assert plan.inputs == INPUTS
    assert plan.cardinalities == (5, 3)
    assert [column.name for column in plan.categorical] == ["user", "city"]
    assert [column.name for column in plan.continuous] == ["count"]
    assert plan.inputs_of("integer", "string") == ("user", "city")
    assert plan.continuous[0].steps == OUTPUTS[2].steps
    assert plan.vocabulary(plan.categorical[0]).value.to_pylist() == [2**63 - 1, -5]
    assert len(plan.vocabulary(plan.categorical[1])) == 0


def test_the_hash_covers_vocabularies_and_steps(written: Plan, tmp_path: Path) -> None:
    again = write_plan(tmp_path / "again", INPUTS, OUTPUTS, VOCABULARIES)
    assert again.content_hash == written.content_hash
    other = {**VOCABULARIES, "user": vocabulary(2**63 - 1, -6)}
    assert write_plan(tmp_path / "b", INPUTS, OUTPUTS, other).content_hash != again.content_hash
    fewer = write_plan(tmp_path / "c", INPUTS, OUTPUTS[:2], VOCABULARIES)
    assert fewer.content_hash != again.content_hash


def _change(plan: Plan, **changes: Any) -> Path:
    file = plan.folder / "plan.json"
    content = {**json.loads(file.read_text(encoding="utf-8")), **changes}
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


def _change_and_sign(plan: Plan, **changes: Any) -> None:
    file = _change(plan, **changes)
    content = json.loads(file.read_text(encoding="utf-8"))
    del content["content_hash"]
    _change(plan, content_hash=json_sha256(content))


def test_a_changed_plan_is_refused(written: Plan) -> None:
    content = json.loads((written.folder / "plan.json").read_text(encoding="utf-8"))
    content["outputs"][2]["steps"][2]["mean"] = 0.2
    _change(written, outputs=content["outputs"])
    with pytest.raises(PlanError, match=r"plan\.json: wanted SHA-256 .*changed after the plan was"):
        read_plan(written.folder)


def test_a_newer_format_is_refused(written: Plan) -> None:
    _change(written, format_version=2)
    with pytest.raises(PlanError, match="format version 2, but this Plumbline reads 1"):
        read_plan(written.folder)


def test_an_unknown_step_or_kind_is_refused(written: Plan) -> None:
    column = {"name": "x", "source": "x", "dtype": "float32", "steps": [{"op": "hash"}]}
    _change_and_sign(written, outputs=[column])
    with pytest.raises(PlanError, match="not a feature plan: ValueError unknown step 'hash'"):
        read_plan(written.folder)
    _change_and_sign(written, outputs=[], inputs=[{"name": "x", "kind": "image"}])
    with pytest.raises(PlanError, match="column kind 'image', known: continuous, integer, hex"):
        read_plan(written.folder)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format_version": 1}', '{"content_hash": "a"}'])
def test_what_is_no_plan_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(text, encoding="utf-8")
    with pytest.raises(PlanError, match=r"plan\.json: not a feature plan"):
        read_plan(tmp_path)


def test_a_missing_file_is_named(written: Plan, tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"nowhere/plan\.json: missing from the feature plan"):
        read_plan(tmp_path / "nowhere")
    (written.folder / "vocabulary/user.parquet").unlink()
    with pytest.raises(PlanError, match=r"vocabulary/user\.parquet: missing from the feature plan"):
        written.vocabulary(written.categorical[0])


def test_a_changed_vocabulary_is_refused(written: Plan) -> None:
    vocabulary(2**63 - 1, -6).write(written.folder / "vocabulary/user.parquet")
    with pytest.raises(PlanError, match=r"vocabulary/user\.parquet: wanted SHA-256"):
        written.vocabulary(written.categorical[0])


def test_an_interrupted_write_leaves_no_plan(written: Plan) -> None:
    with pytest.raises(KeyError, match="city"):
        write_plan(written.folder, INPUTS, OUTPUTS, {"user": VOCABULARIES["user"]})
    with pytest.raises(PlanError, match="missing from the feature plan"):
        read_plan(written.folder)
