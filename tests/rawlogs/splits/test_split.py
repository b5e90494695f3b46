from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline.base.errors import DataError
from plumbline.columns.values import Text
from plumbline.rawlogs.convert import TIME
from plumbline.rawlogs.ingest import Ingested
from plumbline.rawlogs.parts import TypedRows
from plumbline.rawlogs.splits.groups import group_of
from plumbline.rawlogs.splits.split import TEST, TRAIN, VALID, RowSpan, assignment, check_files
from plumbline.rawlogs.splits.time_order import sorted_by_time
from plumbline.settings import Config


def config(seed: int = 1, **split: object) -> Config:
    return Config.model_validate(
        {
            "name": "t",
            "seed": seed,
            "log": {"columns": {"y": "label", "x": "integer", "at": "time"}, "header": False},
            "split": split,
            "workflow": {"graph": "standard"},
        }
    )


def span(first: int, count: int, file: int = 0) -> RowSpan:
    return RowSpan(first, file, np.zeros(count, np.int8))


SHARES = st.floats(0.01, 0.45)


@given(rows=st.integers(1, 500), valid=SHARES, test=SHARES)
def test_by_rows_the_splits_are_consecutive_shares(rows: int, valid: float, test: float) -> None:
    assign = assignment(config(by="rows", valid=valid, test=test), rows)
    splits = assign(span(0, rows))
    assert (np.diff(splits) >= 0).all()
    assert (splits == TEST).sum() == round(test * rows)
    assert (splits == VALID).sum() == round(valid * rows)


@given(
    seed=st.integers(0, 2**63),
    cut=st.integers(0, 2000),
    valid=SHARES,
    test=SHARES,
)
def test_by_hash_depends_on_seed_and_row_alone(
    seed: int, cut: int, valid: float, test: float
) -> None:
    chosen = config(seed, by="hash", valid=valid, test=test)
    whole = assignment(chosen, 2000)(span(0, 2000))
    again = assignment(chosen, 2000)
    pieces = np.concatenate([again(span(0, cut)), again(span(cut, 2000 - cut, 3))])
    assert (whole == pieces).all()
    assert abs((whole == TEST).mean() - test) < 0.06
    assert abs((whole == VALID).mean() - valid) < 0.06
    other = assignment(config(seed + 1, by="hash", valid=valid, test=test), 2000)
    assert (whole != other(span(0, 2000))).any()


def letters(found: np.ndarray) -> str:
    return "".join("tve--n"[outcome] for outcome in found)


def test_the_splits_of_a_seed_never_change() -> None:
    """Known answers: another version of Plumbline must test on the same rows."""
    by_hash = assignment(config(by="hash", valid=0.2, test=0.3), 0)
    assert letters(by_hash(span(0, 40))) == "vttttteveeteetetvvtttettvveveeeevtetevtt"
    assert letters(by_hash(span(10**9, 40))) == "teetevttevtetttttettevttvteevtttvevttett"
    by_group = assignment(config(by="group", column="x", valid=0.3, test=0.3), 0)
    numbers = group_of(np.arange(40))
    words = group_of(Text.from_objects([b"%d" % number for number in range(40)]))
    for group, expected in (
        (numbers, "vetttteevevvtvvvvevtvvvtttetevveetvtettv"),
        (words, "veeevetttttvvtevveeevttvvvevvveevtetttee"),
    ):
        assert letters(by_group(RowSpan(0, 0, np.zeros(40, np.int8), group))) == expected
    thinned = assignment(config(by="file", valid=[1], test=[2], keep_negatives=0.5), 0)
    assert letters(thinned(span(0, 40))) == "ntntnntntttnnntnntntnttttttntttnnnnttnnn"


def test_by_file() -> None:
    assign = assignment(config(by="file", valid=[2], test=[0]), 9)
    assert [assign(span(0, 2, file)).tolist() for file in range(4)] == [
        [TEST] * 2,
        [TRAIN] * 2,
        [VALID] * 2,
        [TRAIN] * 2,
    ]


def test_by_file_beyond_the_last() -> None:
    files = [Path("a"), Path("b"), Path("c")]
    with pytest.raises(
        DataError, match=r"split\.test names file 3, .* 3 \(a, b, c\): wanted 0 to 2"
    ):
        check_files(config(by="file", valid=[1], test=[3]), files)
    with pytest.raises(DataError, match=r"split\.valid names file -1"):
        check_files(config(by="file", valid=[-1], test=[0]), files)


def test_by_file_without_one_to_train_on() -> None:
    with pytest.raises(DataError, match="take all of the log's 2 files"):
        check_files(config(by="file", valid=[1], test=[0]), [Path("a"), Path("b")])


@given(
    parts=st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=6), min_size=1, max_size=5),
    at_once=st.integers(1, 8),
)
def test_sorting_by_time_is_stable(
    tmp_path_factory: pytest.TempPathFactory, parts: list[list[int]], at_once: int
) -> None:
    folder = tmp_path_factory.mktemp("typed")
    written, number = [], 0
    for position, times in enumerate(parts):
        rows = {"number": range(number, number + len(times)), TIME: [float(t) for t in times]}
        number += len(times)
        written.append(TypedRows.write(folder / f"{position}", 0, pl.DataFrame(rows)))
    found = pl.concat(sorted_by_time(written, at_once))
    times = [time for part in parts for time in part]
    assert found["number"].to_list() == sorted(range(number), key=lambda row: times[row])


Rows = Callable[[str], pl.DataFrame]


def test_the_splits_of_an_ingest_are_a_partition(
    ingest_text: Callable[..., Ingested], split_rows: Rows
) -> None:
    lines = [f"{i % 2},{i},{i * 37 % 100}" for i in range(100)]
    for by in ("rows", "time", "hash"):
        ingest_text(config(by=by, valid=0.2, test=0.2), "\n".join(lines))
        found = {split: split_rows(split)["x"].to_list() for split in ("train", "valid", "test")}
        together = [*found["train"], *found["valid"], *found["test"]]
        assert sorted(together) == list(range(100))
        if by == "rows":
            assert together == list(range(100))
        if by == "time":
            assert together == sorted(range(100), key=lambda i: i * 37 % 100)
        if by == "hash":
            assert all(rows == sorted(rows) for rows in found.values())


def test_a_file_is_in_one_split(ingest_text: Callable[..., Ingested], split_rows: Rows) -> None:
    texts = ["\n".join(f"{i % 2},{day},0" for i in range(3)) for day in range(4)]
    ingest_text(config(by="file", valid=[0], test=[2]), *texts)
    assert split_rows("train")["x"].to_list() == [1, 1, 1, 3, 3, 3]
    assert split_rows("valid")["x"].to_list() == [0, 0, 0]
    assert split_rows("test")["x"].to_list() == [2, 2, 2]


def test_a_row_without_time_is_malformed_only_in_a_split_by_time(
    ingest_text: Callable[..., Ingested],
) -> None:
    text = "\n".join([*(f"{i % 2},{i},{i}" for i in range(20)), "1,5,"])
    made = ingest_text(config(by="time", valid=0.2, test=0.2), text)
    assert made.malformed == 1
    assert (
        "csv:21: column 'at': wanted a number or an ISO 8601 time, found nothing"
        in made.examples[0]
    )
    assert ingest_text(config(by="rows", valid=0.2, test=0.2), text).malformed == 0
