"""Look-up files whose hashes fit are refused if a look-up could leave them."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from plumbline.base.errors import PlanError
from plumbline.columns.values import Text
from plumbline.features.encoding.online import OnlineExecutor
from plumbline.features.lookup.index import build_integer_index, build_text_index, open_index
from plumbline.features.lookup.index_file import HEADER
from plumbline.features.plan.plan import read_plan
from tests.hostile.signing import sign

pytestmark = pytest.mark.usefixtures("implementation")

COUNT = 40
DAMAGED = "as many positions as values, and ascending offsets"


@pytest.fixture
def integers(tmp_path: Path) -> Path:
    build_integer_index(tmp_path / "integers", np.arange(COUNT))
    return tmp_path / "integers"


@pytest.fixture
def text(tmp_path: Path) -> Path:
    build_text_index(tmp_path / "text", Text.from_objects([b"value %d" % n for n in range(COUNT)]))
    return tmp_path / "text"


def put(file: Path, at: int, form: str, value: int) -> None:
    content = bytearray(file.read_bytes())
    struct.pack_into(form, content, at, value)
    file.write_bytes(content)


def first_position(file: Path) -> int:
    """The byte of the first slot that is used."""
    buckets = np.frombuffer(file.read_bytes()[HEADER.size :][: 12 * 64], "<u4").reshape(-1, 16)
    bucket, slot = np.argwhere(buckets[:, 10:15] > 0)[0].tolist()
    return HEADER.size + bucket * 64 + 40 + slot * 4


@pytest.mark.parametrize("position", [COUNT + 1, 2**31, 2**32 - 1, 0])
@pytest.mark.parametrize("kind", ["integers", "text"])
def test_positions_out_of_range(kind: str, position: int, request: pytest.FixtureRequest) -> None:
    file: Path = request.getfixturevalue(kind)
    put(file, first_position(file), "<I", position)
    with pytest.raises(PlanError, match=DAMAGED):
        open_index(file)


@pytest.mark.parametrize("offset", [-1, 2**31, 2**62, -(2**63)])
@pytest.mark.parametrize("row", [0, 1, COUNT // 2, COUNT])
def test_offsets_out_of_range(text: Path, row: int, offset: int) -> None:
    _, _, _, _, _, buckets, _ = HEADER.unpack(text.read_bytes()[: HEADER.size])
    put(text, HEADER.size + buckets * 64 + row * 8, "<q", offset)
    with pytest.raises(PlanError, match=DAMAGED):
        open_index(text)


@pytest.mark.parametrize("field", [16, 24, 32, 40])
@pytest.mark.parametrize("value", [0, 1, 2**31, 2**58, 2**63, 2**64 - 1])
def test_headers_of_other_sizes(text: Path, field: int, value: int) -> None:
    """Fields of count, homes, buckets and bytes; any number of homes in the buckets is safe."""
    put(text, field, "<Q", value)
    if (field, value) == (24, 1):
        assert len(open_index(text)) == COUNT
        return
    with pytest.raises(PlanError, match=r"its header says|as many positions"):
        open_index(text)


def test_a_count_that_no_slots_hold(integers: Path) -> None:
    """A file of values with as many rows would be small, and the values would not."""
    put(integers, 16, "<Q", 2**31 - 2)
    with pytest.raises(PlanError, match=DAMAGED):
        open_index(integers)


def replaced(folder: Path, file: str, table: pa.Table) -> Path:
    pq.write_table(table, folder / "plan" / file)
    sign(folder / "plan")
    return folder / "plan"


FLOATS = pa.array(np.zeros(20))
TABLES = {
    "fewer rows": (pa.table({"value": FLOATS[:3]}), "wanted 20 rows, found 3"),
    "more rows": (pa.table({"value": pa.array(np.zeros(10**6))}), "wanted 20 rows, found 1000000"),
    "text": (pa.table({"value": ["x"] * 20}), "wanted value of double, found value of string"),
    "bools": (pa.table({"value": [True] * 20}), "found value of bool"),
    "nulls": (pa.table({"value": pa.array([None] * 20, pa.float64())}), "none of them null"),
    "no values": (pa.table({"other": FLOATS}), "found other of double"),
}


@pytest.mark.parametrize("name", TABLES)
def test_numbers_by_key_of_another_form(folder: Path, name: str) -> None:
    table, message = TABLES[name]
    plan = replaced(folder, "keyed_value/te.parquet", table)
    with pytest.raises(PlanError, match=message):
        OnlineExecutor(read_plan(plan))


def test_texts_by_key_of_another_form(folder: Path) -> None:
    plan = replaced(folder, "keyed_value/home.parquet", pa.table({"value": range(20)}))
    with pytest.raises(PlanError, match="wanted value of string, found value of int64"):
        OnlineExecutor(read_plan(plan))


MATRICES = {
    "rows out of range": ([0, 0, 3], [0, 3, 3], [1.0, 1.0, 1.0]),
    "negative rows": ([-1, 0, 2], [0, 3, 3], [1.0, 1.0, 1.0]),
    "negative columns": ([0, 0, 2], [-1, 3, 3], [1.0, 1.0, 1.0]),
    "columns that overflow": ([0, 0, 2], [0, 3, 2**63 - 1], [1.0, 1.0, 1.0]),
    "entries out of order": ([2, 0, 0], [0, 3, 3], [1.0, 1.0, 1.0]),
    "an entry twice": ([0, 0, 2], [3, 3, 3], [1.0, 1.0, 1.0]),
    "an infinite entry": ([0, 0, 2], [0, 3, 3], [1.0, float("inf"), 1.0]),
}


@pytest.mark.parametrize("name", MATRICES)
def test_matrices_of_another_form(folder: Path, name: str) -> None:
    row, column, value = MATRICES[name]
    table = pa.table({"row": row, "column": column, "value": value})
    plan = replaced(folder, "column_similarity/similar left.parquet", table)
    with pytest.raises(PlanError, match="finite numbers of 3 rows, by row and column"):
        OnlineExecutor(read_plan(plan))


@pytest.mark.parametrize(
    "file", ["keyed_value/te.parquet", "column_similarity/similar left.parquet"]
)
def test_a_file_that_is_not_parquet(folder: Path, file: str) -> None:
    whole = folder / "plan" / file
    content = whole.read_bytes()
    for damaged in (b"", b"PAR1", content[: len(content) // 2], content[:-9] + b"\xff" * 9):
        whole.write_bytes(damaged)
        sign(folder / "plan")
        with pytest.raises(PlanError, match="it cannot be read"):
            OnlineExecutor(read_plan(folder / "plan"))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pa.table({"value": [1], "id": [3], "count": [1]}), "wanted 20 rows, found 1"),
        (pa.table({"value": [1] * 20, "id": ["x"] * 20, "count": [1] * 20}), "id of string"),
        (pa.table({"value": [1] * 20}), "wanted values, ids and counts, found value of int64"),
    ],
)
def test_a_vocabulary_of_another_form(folder: Path, table: pa.Table, message: str) -> None:
    plan = read_plan(replaced(folder, "vocabulary/user.parquet", table))
    (user,) = (column for column in plan.outputs if column.name == "user")
    with pytest.raises(PlanError, match=message):
        plan.vocabulary(user)


def test_the_index_of_another_vocabulary(folder: Path) -> None:
    plan = folder / "plan"
    (plan / "vocabulary" / "user.index").write_bytes(
        (plan / "vocabulary" / "city.index").read_bytes()
    )
    sign(plan)
    assert json.loads((plan / "plan.json").read_bytes())["outputs"][0]["name"] == "user"
    with pytest.raises(PlanError, match="the step has 20 values, its index 4"):
        OnlineExecutor(read_plan(plan))
