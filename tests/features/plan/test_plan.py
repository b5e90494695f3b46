"""Write and read feature plans; damaged ones are refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from plumbline.base.errors import PlanError
from plumbline.base.files import json_sha256
from plumbline.features.encoding.online import OnlineExecutor
from plumbline.features.operators.bucketize import Bucketize
from plumbline.features.operators.categorify import Categorify
from plumbline.features.operators.clip import Clip
from plumbline.features.operators.fill_missing import FillMissing
from plumbline.features.operators.hash_bucket import HashBucket
from plumbline.features.operators.hashed_cross import HashedCross
from plumbline.features.operators.normalize import Normalize
from plumbline.features.plan.plan import (
    InputColumn,
    OutputColumn,
    Plan,
    output_column,
    read_plan,
    write_plan,
)
from plumbline.features.steps.chains import Chain
from tests.plans import categorify, column

INPUTS = (
    InputColumn("count", "continuous"),
    InputColumn("user", "integer"),
    InputColumn("city", "string"),
    InputColumn("genres", "string_list"),
)


def outputs_in(folder: Path, last_user: int = -5) -> tuple[OutputColumn, ...]:
    cross = Chain((Chain(("count",), (Bucketize((0.0, 1.5)),)), "city"), (HashedCross(50),))
    return (
        column(INPUTS, "user", "user", categorify(folder, "user", [2**63 - 1, last_user])),
        column(INPUTS, "city", "city", categorify(folder, "city", pa.array([], pa.string()))),
        column(INPUTS, "genres", "genres", HashBucket(7)),
        column(INPUTS, "count", "count", FillMissing(0.0), Clip(None, 9.5), Normalize(0.1, 0.3)),
        output_column("cross", cross, INPUTS),
    )


@pytest.fixture
def written(tmp_path: Path) -> Plan:
    folder = tmp_path / "plan"
    return write_plan(folder, INPUTS, outputs_in(folder))


def test_a_written_plan_is_read(written: Plan) -> None:
    plan = read_plan(written.folder)
    assert plan == written
    plan.tables()
    assert plan.cardinalities == (5, 3, 7, 50)
    assert [column.name for column in plan.categorical] == ["user", "city", "genres", "cross"]
    assert [column.dtype for column in plan.outputs] == [
        "int64", "int64", "list<int64>", "float32", "int64",
    ]  # fmt: skip
    assert [column.name for column in plan.continuous] == ["count"]
    assert plan.outputs[4].sources == ("count", "city")
    assert plan.vocabulary(plan.categorical[0]).value.to_pylist() == [2**63 - 1, -5]
    assert plan.vocabulary(plan.categorical[0]).id.to_pylist() == [3, 4]
    assert len(plan.vocabulary(plan.categorical[1])) == 0
    with pytest.raises(PlanError, match="'genres' has no vocabulary: its ids are computed"):
        plan.vocabulary(plan.categorical[2])


def test_the_hash_covers_vocabularies_and_steps(written: Plan, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "abc"]
    again = write_plan(folders[0], INPUTS, outputs_in(folders[0]))
    other = write_plan(folders[1], INPUTS, outputs_in(folders[1], -6))
    fewer = write_plan(folders[2], INPUTS, outputs_in(folders[2])[:2])
    assert again.content_hash == written.content_hash
    assert len({plan.content_hash for plan in (written, other, fewer)}) == 3


def test_a_plan_works_from_any_folder(written: Plan, tmp_path: Path) -> None:
    shutil.move(written.folder, tmp_path / "elsewhere")
    plan = read_plan(tmp_path / "elsewhere")
    assert plan.content_hash == written.content_hash
    OnlineExecutor(plan)


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
    content["outputs"][3]["steps"][2]["mean"] = 0.2
    _change(written, outputs=content["outputs"])
    with pytest.raises(PlanError, match=r"plan\.json: wanted SHA-256 .*changed after the plan was"):
        read_plan(written.folder)


def test_another_format_version_is_refused(written: Plan) -> None:
    _change(written, format_version=3)
    with pytest.raises(PlanError, match="format version 3, but this Plumbline reads 2"):
        read_plan(written.folder)
    _change_and_sign(written, format_version=1)
    with pytest.raises(PlanError, match=r"format version 1 of an older Plumbline\. Run the etl"):
        read_plan(written.folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"outputs": [{"name": "x", "dtype": "float32", "sources": ["x"],
                       "steps": [{"op": "hash"}]}]}, "ValueError unknown step 'hash'"),
        ({"outputs": [{"name": "x", "dtype": "int8", "sources": ["x"], "steps": []}]},
         "dtype 'int8', known: int64, float32"),
        ({"outputs": [{"name": "x", "dtype": "int64", "sources": ["x", "y"], "steps": []}]},
         "got 2 sources and no step"),
        ({"outputs": [], "inputs": [{"name": "x", "kind": "image"}]},
         "column kind 'image', known: continuous, integer, boolean, hex"),
    ],
)  # fmt: skip
def test_unknown_content_is_refused(written: Plan, changes: Any, message: str) -> None:
    _change_and_sign(written, **changes)
    with pytest.raises(PlanError, match=f"not a feature plan: .*{message}"):
        read_plan(written.folder)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format_version": 1}', '{"content_hash": "a"}'])
def test_a_file_that_is_not_a_plan_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(text, encoding="utf-8")
    with pytest.raises(PlanError, match=r"plan\.json: not a feature plan"):
        read_plan(tmp_path)


@pytest.mark.parametrize("file", ["user.parquet", "user.index", "city.parquet", "city.index"])
def test_a_missing_or_changed_file_is_named(written: Plan, file: str) -> None:
    whole = written.folder / "vocabulary" / file
    content = bytearray(whole.read_bytes())
    content[len(content) // 2] ^= 1
    whole.write_bytes(content)
    with pytest.raises(PlanError, match=rf"vocabulary/{file}: wanted SHA-256"):
        OnlineExecutor(read_plan(written.folder))
    whole.unlink()
    with pytest.raises(PlanError, match=rf"vocabulary/{file}: missing from the feature plan"):
        OnlineExecutor(read_plan(written.folder))


def test_a_missing_plan_is_named(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"nowhere/plan\.json: missing from the feature plan"):
        read_plan(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("source", "steps", "message"),
    [
        ("count", (), None),
        ("user", (), "'out': wanted ids or numbers, got integer"),
        ("city", (FillMissing(0.0),), "'out': FillMissing wants numbers, got text"),
        ("genres", (), "'out': wanted ids or numbers, got lists of texts"),
        ("genres", (Bucketize((1.0,)),), "Bucketize wants numbers, got lists of texts"),
        ("nothing", (), "'out' reads 'nothing': wanted a feature column, one of count, user"),
        ("count", (Categorify(0, None, 1, 3, "", "", ""),), "wants integers or text, got numbers"),
    ],
)
def test_steps_refuse_inputs_of_another_type(
    source: str, steps: tuple[Any, ...], message: str | None
) -> None:
    if message is None:
        assert column(INPUTS, "out", source, *steps).dtype == "float32"
        return
    with pytest.raises(PlanError, match=message):
        column(INPUTS, "out", source, *steps)
