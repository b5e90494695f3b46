"""A reference has the counts of its rows, and a file of it is read as strictly as it is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plumbline.features.drift.bins import IdBins, NumberBins
from plumbline.features.drift.reference import (
    REFERENCE_FILE,
    DriftReferenceError,
    Reference,
    read_reference,
)
from plumbline.features.drift.training_rows import reference_of
from plumbline.features.plan.plan import Plan
from tests.features.drift.plans import KINDS, measured_plan, measured_rows
from tests.row_sources import rows_of


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return measured_plan(tmp_path / "plan")


@pytest.fixture
def reference(plan: Plan) -> Reference:
    return reference_of(plan, rows_of(measured_rows(), KINDS))  # type: ignore[arg-type]


@pytest.fixture
def file(reference: Reference, tmp_path: Path) -> Path:
    reference.write(tmp_path / REFERENCE_FILE)
    return tmp_path / REFERENCE_FILE


def test_every_measure_is_counted_as_by_hand(reference: Reference) -> None:
    assert reference.rows == 5
    found = {(c.measured.measure, c.measured.column): c for c in reference.columns}
    assert list(found) == [
        ("number", "price"),
        ("id", "city"),
        ("id", "hashed"),
        ("id", "tags"),
        ("length", "tags"),
        ("feature", "nameless"),
    ]
    price = found["number", "price"]
    assert isinstance(price.bins, NumberBins)
    assert price.counts_K[-1] == 1 and price.counts_K.sum() == 5
    city = found["id", "city"]
    assert isinstance(city.bins, IdBins)
    assert (city.bins.frequent, city.counts_K.tolist()) == ((4, 5), [2, 1, 0, 1, 1])
    hashed = found["id", "hashed"]
    assert hashed.counts_K.sum() == 5 and hashed.counts_K[-3:].tolist() == [0, 0, 0]
    tags = found["id", "tags"]
    assert isinstance(tags.bins, IdBins)
    assert (tags.bins.frequent, tags.counts_K.tolist()) == ((3, 4), [3, 1, 0, 1, 0])
    length = found["length", "tags"]
    assert length.bins.missing(length.counts_K) == 0 and length.counts_K.sum() == 5
    assert found["feature", "nameless"].counts_K.sum() == 5


def test_a_training_split_with_few_negatives_is_counted_as_it_is_served(plan: Plan) -> None:
    """Half of the rows without a click are in the log, so half of those with one are counted."""
    rows = rows_of(measured_rows(100), KINDS)  # type: ignore[arg-type]
    reference = reference_of(plan, rows, keep_negatives=0.5)
    assert reference.rows == 300 + 200 // 2


def test_a_file_is_read_as_it_was_written(reference: Reference, file: Path, plan: Plan) -> None:
    read = read_reference(file, plan)
    assert (read.plan_hash, read.rows) == (reference.plan_hash, reference.rows)
    for got, wanted in zip(read.columns, reference.columns, strict=True):
        assert got.measured == wanted.measured
        assert got.counts_K.tolist() == wanted.counts_K.tolist()
        if isinstance(wanted.bins, IdBins):
            assert isinstance(got.bins, IdBins) and got.bins.frequent == wanted.bins.frequent
        else:
            assert isinstance(got.bins, NumberBins)
            assert got.bins.edges.tolist() == wanted.bins.edges.tolist()


def test_a_missing_file_is_named(plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(DriftReferenceError, match=r"drift.json: missing from the version"):
        read_reference(tmp_path / REFERENCE_FILE, plan)


def _set(*path: Any) -> Callable[[Any], None]:
    """Sets the value at a path, which its last element is."""
    *keys, last, value = path

    def change(content: Any) -> None:
        for key in keys:
            content = content[key]
        content[last] = value

    return change


PRICE, CITY = ("columns", 0), ("columns", 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set("format_version", 2), "wanted format version 1, got 2"),
        (_set("plan_hash", "x" * 64), "wanted one of plan"),
        (_set("rows", -1), "rows: wanted"),
        (_set("more", 1), "wanted .'plan_hash'"),
        (_set("columns", {}), "columns: wanted a list"),
        (lambda content: content["columns"].pop(), "wanted 6 columns, got 5"),
        (lambda content: content["columns"].reverse(), "wanted measure 'number' of column 'price'"),
        (_set(*PRICE, "edges", [2.0, 1.0]), "edges that grow"),
        (_set(*PRICE, "edges", [1.0, 1.0]), "edges that grow"),
        (_set(*PRICE, "edges", [1e300]), "finite in float32"),
        (_set(*PRICE, "edges", [float(n) for n in range(10)]), "up to 9 edges"),
        (_set(*PRICE, "edges", ["a"]), "edges"),
        (_set(*PRICE, "ids", [1]), "and no ids"),
        (_set(*PRICE, "counts", [1]), "counts, got 1"),
        (_set(*CITY, "counts", [1, 1, 1, 1, -1]), "counts"),
        (_set(*CITY, "counts", [2**60] * 5), "up to 2⁵³ together"),
        (_set(*CITY, "ids", [4, 4]), "different ids"),
        (_set(*CITY, "ids", [4, 6]), "below 6, got 6"),
        (_set(*CITY, "ids", [4, 2**40]), "below 6"),
        (_set(*CITY, "ids", [4, 1]), "ids of known values"),
        (_set(*CITY, "ids", [4, 3]), "ids of known values"),
        (_set(*CITY, "ids", list(range(21))), "up to 20 different ids"),
        (_set(*CITY, "edges", [1.0]), "and no edges"),
    ],
)
def test_a_wrong_file_is_refused(
    file: Path, plan: Plan, change: Callable[[Any], None], message: str
) -> None:
    content = json.loads(file.read_bytes())
    change(content)
    file.write_text(json.dumps(content))
    with pytest.raises(DriftReferenceError, match=message):
        read_reference(file, plan)


@pytest.mark.parametrize("text", ["", "[]", "null", "[" * 100_000, '{"rows": 1e999}', "\udcff"])
def test_what_is_no_reference_is_refused(file: Path, plan: Plan, text: str) -> None:
    file.write_text(text, errors="surrogateescape")
    with pytest.raises(DriftReferenceError, match="not a reference of drift"):
        read_reference(file, plan)


def test_a_link_out_of_the_folder_is_refused(file: Path, plan: Plan, tmp_path: Path) -> None:
    link = tmp_path / "version" / REFERENCE_FILE
    link.parent.mkdir()
    link.symlink_to(file)
    with pytest.raises(DriftReferenceError, match="link out of its folder"):
        read_reference(link, plan)
