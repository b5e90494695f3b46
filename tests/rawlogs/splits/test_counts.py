"""Rows in no split: beyond the shares, in a time gap, or dropped negatives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline.base.errors import DataError
from plumbline.rawlogs.ingest import Ingested, ingest
from plumbline.rawlogs.splits.split import (
    GAP,
    NEGATIVES,
    NO_SPLIT,
    SPLITS,
    TEST,
    TRAIN,
    VALID,
    RowSpan,
    assignment,
)
from plumbline.settings import Config

Ingest = Callable[..., Ingested]
Rows = Callable[[str], pl.DataFrame]


def config_of(seed: int = 1, **split: Any) -> Config:
    return Config.model_validate(
        {
            "name": "t",
            "seed": seed,
            "log": {"columns": {"y": "label", "x": "integer", "at": "time"}, "header": False},
            "split": split,
            "workflow": {"graph": "standard"},
        }
    )


def splits_of(config: Config, count: int, times: Any = None) -> np.ndarray:
    return assignment(config, count, times)(RowSpan(0, 0, np.zeros(count, np.int8)))


SHARES = st.floats(0.01, 0.33)


@given(rows=st.integers(1, 500), train=SHARES, valid=SHARES, test=SHARES)
def test_in_order_the_first_rows_are_left_out(
    rows: int, train: float, valid: float, test: float
) -> None:
    shares = {"valid": valid, "test": test}
    all_of_them = splits_of(config_of(by="rows", **shares), rows)
    found = splits_of(config_of(by="rows", train=train, **shares), rows)
    assert (found == TRAIN).sum() == min(round(train * rows), (all_of_them == TRAIN).sum())
    kept = found != NO_SPLIT
    assert (np.diff(kept.astype(int)) >= 0).all()
    assert (found[kept] == all_of_them[kept]).all()
    assert (all_of_them[~kept] == TRAIN).all()


@given(rows=st.integers(1, 500), valid=st.integers(1, 49), test=st.integers(1, 50))
def test_shares_that_make_one_leave_nothing_out(rows: int, valid: int, test: int) -> None:
    for by in ("rows", "hash"):
        whole = {"by": by, "valid": valid / 100, "test": test / 100}
        train = (100 - valid - test) / 100
        found = splits_of(config_of(train=train, **whole), rows)
        assert (found == splits_of(config_of(**whole), rows)).all()


@given(seed=st.integers(0, 2**63), train=SHARES, valid=SHARES, test=SHARES)
def test_by_hash_rows_are_left_out_of_the_training_split_at_random(
    seed: int, train: float, valid: float, test: float
) -> None:
    shares = {"by": "hash", "valid": valid, "test": test}
    all_of_them = splits_of(config_of(seed, **shares), 4000)
    found = splits_of(config_of(seed, train=train, **shares), 4000)
    assert (found[found != NO_SPLIT] == all_of_them[found != NO_SPLIT]).all()
    assert (all_of_them[found == NO_SPLIT] == TRAIN).all()
    assert np.mean(found == TRAIN) == pytest.approx(train, abs=0.05)


def test_files_in_no_split_are_left_out(ingest_text: Ingest, split_rows: Rows) -> None:
    texts = ["\n".join(f"{i % 2},{day},0" for i in range(3)) for day in range(5)]
    made = ingest_text(config_of(by="file", train=[1, 4], valid=[0], test=[2]), *texts)
    assert split_rows("train")["x"].to_list() == [1, 1, 1, 4, 4, 4]
    assert split_rows("valid")["x"].to_list() == [0, 0, 0]
    assert made.left_out == {"no_split": 3, "gap": 0, "negatives": 0}
    assert made.rows["train"] == 6


def test_a_training_file_that_is_not_there(ingest_text: Ingest) -> None:
    with pytest.raises(DataError, match=r"split\.train names file 7, but the log has 2 \(log_0"):
        ingest_text(config_of(by="file", train=[7], valid=[0], test=[1]), "1,1,1", "0,1,1")


@given(
    times=st.lists(st.integers(0, 60), min_size=4, max_size=120),
    gap=st.integers(1, 40),
    train=st.none() | st.floats(0.1, 0.33),
    valid=SHARES,
    test=SHARES,
)
def test_no_row_before_a_split_is_within_the_gap(
    times: list[int], gap: int, train: float | None, valid: float, test: float
) -> None:
    shares = {"by": "time", "train": train, "valid": valid, "test": test}
    unsorted = np.array(times, float)
    ordered = np.sort(unsorted)
    without = splits_of(config_of(**shares), len(times))
    found = splits_of(config_of(gap=gap, **shares), len(times), unsorted)
    kept = found != GAP
    assert (found[kept] == without[kept]).all()
    firsts = [np.flatnonzero(without == split)[:1] for split in (VALID, TEST)]
    for row, time in enumerate(ordered):
        is_near = any(
            row < first and ordered[first] - time <= gap for first in np.concatenate(firsts)
        )
        assert (found[row] == GAP) == (is_near and without[row] != NO_SPLIT)


def test_a_gap_leaves_out_rows_before_valid_and_test(ingest_text: Ingest, split_rows: Rows) -> None:
    hour = 3600
    lines = [f"{i % 2},{i},{i * hour}" for i in reversed(range(100))]
    made = ingest_text(config_of(by="time", valid=0.2, test=0.2, gap="5h"), "\n".join(lines))
    assert split_rows("train")["x"].to_list() == list(range(55))
    assert split_rows("valid")["x"].to_list() == list(range(60, 75))
    assert split_rows("test")["x"].to_list() == list(range(80, 100))
    assert made.left_out == {"no_split": 0, "gap": 10, "negatives": 0}
    made = ingest_text(
        config_of(by="time", train=0.3, valid=0.2, test=0.2, gap=30 * 60), "\n".join(lines)
    )
    assert split_rows("train")["x"].to_list() == list(range(30, 60))
    assert made.left_out == {"no_split": 30, "gap": 0, "negatives": 0}


def test_a_gap_of_zero_does_not_move_ties(ingest_text: Ingest, split_rows: Rows) -> None:
    text = "\n".join(f"{i % 2},{i},7" for i in range(50))
    made = ingest_text(config_of(by="time", valid=0.2, test=0.2, gap=0), text)
    assert split_rows("train")["x"].to_list() == list(range(30))
    assert made.left_out["gap"] == 0


def test_a_gap_that_leaves_nothing_to_train_on(ingest_text: Ingest) -> None:
    text = "\n".join(f"{i % 2},{i},{i}" for i in range(100))
    with pytest.raises(
        DataError,
        match=r"^Split 'train' holds 0 rows, 0 of them clicks: .* split\.gap leaves out 80 rows: a",
    ):
        ingest_text(config_of(by="time", valid=0.2, test=0.2, gap="1d"), text)


@given(seed=st.integers(0, 2**63), kept=st.floats(0.05, 0.95), cut=st.integers(0, 5000))
def test_negatives_are_dropped_by_seed_and_row_alone(seed: int, kept: float, cut: int) -> None:
    click = (np.arange(5000) % 7 == 0).astype(np.int8)
    plain = {"by": "hash", "valid": 0.1, "test": 0.2}
    assign = assignment(config_of(seed, **plain, keep_negatives=kept), 5000)
    found = assign(RowSpan(0, 0, click))
    pieces = [assign(RowSpan(0, 0, click[:cut])), assign(RowSpan(cut, 1, click[cut:]))]
    assert (found == np.concatenate(pieces)).all()
    without = assignment(config_of(seed, **plain), 5000)(RowSpan(0, 0, click))
    dropped = found == NEGATIVES
    assert (found[~dropped] == without[~dropped]).all()
    assert (without[dropped] == TRAIN).all() and (click[dropped] == 0).all()
    negatives = (without == TRAIN) & (click == 0)
    assert dropped.sum() / negatives.sum() == pytest.approx(1 - kept, abs=0.05)


def test_the_draw_of_negatives_is_independent_of_the_splits() -> None:
    rows = np.zeros(100_000, np.int8)
    assign = assignment(config_of(by="hash", valid=0.3, test=0.3, keep_negatives=0.5), 0)
    found = assign(RowSpan(0, 0, rows))
    assert np.mean(found == TRAIN) == pytest.approx(0.2, abs=0.005)
    dropped = np.flatnonzero(found == NEGATIVES)
    assert np.corrcoef(np.diff(dropped)[:-1], np.diff(dropped)[1:])[0, 1] == pytest.approx(
        0, abs=0.02
    )


@pytest.mark.parametrize(
    "split",
    [
        {"by": "rows", "valid": 0.2, "test": 0.2},
        {"by": "hash", "valid": 0.2, "test": 0.2, "train": 0.5},
        {"by": "time", "valid": 0.2, "test": 0.2},
        {"by": "group", "column": "x", "valid": 0.2, "test": 0.2},
        {"by": "file", "valid": [1], "test": [2]},
    ],
    ids=lambda split: split["by"],
)
def test_the_facts_have_the_rows_before_and_after(
    split: dict[str, Any], ingest_text: Ingest, split_rows: Rows
) -> None:
    texts = [
        "\n".join(f"{int(i % 10 == 0)},{i},{i * 37 % 900}" for i in range(start, start + 300))
        for start in (0, 300, 600)
    ]
    whole = ingest_text(config_of(**split), *texts)
    rows = {name: split_rows(name) for name in SPLITS}
    assert (whole.keep_negatives, whole.left_out["negatives"]) == (1.0, 0)
    assert whole.sampled_click_rate == whole.click_rate["train"]
    made = ingest_text(config_of(**split, keep_negatives=0.3), *texts)
    kept = split_rows("train")
    assert made.click_rate == whole.click_rate
    assert made.sampled_click_rate == kept["click"].mean()
    assert made.rows["train"] == len(kept) == whole.rows["train"] - made.left_out["negatives"]
    negatives = rows["train"].filter(click=0)
    assert made.keep_negatives == kept.filter(click=0).height / negatives.height
    assert made.keep_negatives == pytest.approx(0.3, abs=0.07)
    assert kept.filter(click=1).equals(rows["train"].filter(click=1))
    for name in ("valid", "test"):
        assert split_rows(name).equals(rows[name])


def test_the_error_for_a_training_split_without_negatives(ingest_text: Ingest) -> None:
    text = "\n".join(f"{int(i % 4 > 0)},{i},0" for i in range(80))
    config = config_of(by="rows", valid=0.2, test=0.2, keep_negatives=0.001)
    with pytest.raises(
        DataError,
        match=r"^Split 'train' holds 36 rows, 36 .*split\.keep_negatives drops 12 training rows wi",
    ):
        ingest_text(config, text)


def test_a_log_that_is_not_copied_has_the_same_facts(tmp_path: Path, ingest_text: Ingest) -> None:
    lines = [f"{int(i % 5 == 0)},{i},{i}" for i in range(500)]
    split = {"by": "rows", "train": 0.4, "valid": 0.2, "test": 0.2, "keep_negatives": 0.5}
    typed = ingest_text(config_of(**split), "\n".join(lines))
    raw = ingest(config_of(**split), [tmp_path / "log_0.csv"], tmp_path / "raw", lambda _: None)
    assert raw == typed
    assert raw.left_out["no_split"] == 100 and raw.left_out["negatives"] > 50
