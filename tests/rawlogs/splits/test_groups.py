"""A split by group: all rows of a value are in one split, however the log is stored."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plumbline.base.errors import DataError
from plumbline.columns.value_hash import value_hash
from plumbline.columns.values import Text
from plumbline.rawlogs import raw_rows, row_parser
from plumbline.rawlogs import survey as survey_module
from plumbline.rawlogs.frames import frame_of_rows
from plumbline.rawlogs.ingest import SURVEY_FILE, fingerprints_of, ingest, ingest_typed
from plumbline.rawlogs.raw_log import RawLog
from plumbline.rawlogs.splits.groups import NO_GROUP, group_of
from plumbline.rawlogs.splits.split import SPLITS, TEST, TRAIN, VALID, RowSpan, assignment
from plumbline.rawlogs.survey import Survey
from plumbline.settings import Config

PACKED = {"": bytes, ".gz": gzip.compress, ".zst": lambda b: pa.compress(b, "zstd", asbytes=True)}
SHARES = {"valid": 0.3, "test": 0.3}


def config_of(kind: str, seed: int = 1, split: dict[str, Any] | None = None, **log: Any) -> Config:
    columns = {"y": "label", "x": "integer", "user": kind}
    return Config.model_validate(
        {
            "name": "t",
            "seed": seed,
            "log": {"columns": columns, **log},
            "split": {"by": "group", "column": "user", **SHARES, **(split or {})},
            "workflow": {"graph": "standard"},
        }
    )


@contextmanager
def chunks_of(size: int, rows: int = 65_536) -> Iterator[None]:
    """Cut logs into chunks of `size` bytes, or `rows` rows in Parquet."""
    with (
        patch.object(survey_module, "LARGEST_CHUNK_BYTES", size),
        patch.object(raw_rows, "PARQUET_BATCH_ROWS", rows),
    ):
        yield


def splits_of(config: Config, file: Path, typed: bool = False) -> dict[str, list[int]] | str:
    """Split to the numbers x of its rows; or the error if a split has one class."""
    out = file.parent / f"out of {file.name} {typed}"
    try:
        (ingest_typed if typed else ingest)(config, [file], out, lambda _: None)
    except DataError as error:
        return str(error)
    if typed:
        return {
            name: pl.read_parquet(out / name / "part-*.parquet")["x"].to_list() for name in SPLITS
        }
    log = RawLog(config, [file], Survey.read(out / SURVEY_FILE), fingerprints_of(config, [file]))
    return {
        name: [row for chunk in log.chunks(name) for row in frame_of_rows(chunk())["x"].to_list()]
        for name in SPLITS
    }


def write_text(file: Path, users: list[str], suffix: str) -> Path:
    lines = [f"{i // 2 % 2},{i},{user}\n" for i, user in enumerate(users)]
    packed = file.with_name(file.name + suffix)
    packed.write_bytes(PACKED[suffix](("y,x,user\n" + "".join(lines)).encode()))
    return packed


def write_parquet(file: Path, users: pl.Series) -> Path:
    clicks = [i // 2 % 2 for i in range(len(users))]
    pl.DataFrame({"y": clicks, "x": range(len(users)), "user": users}).write_parquet(file)
    return file


USERS = {
    "continuous": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "integer": st.integers(-(2**63) + 1, 2**63 - 1),
    "hex": st.integers(0, 2**63 - 1),
    "string": st.text(st.characters(exclude_characters='\r\n\0,"', codec="utf-8"), max_size=12),
    "unused": st.text(st.characters(exclude_characters='\r\n\0,"', codec="utf-8"), max_size=12),
}


@settings(max_examples=5)
@given(data=st.data())
def test_every_way_to_store_a_log_gives_the_same_splits(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    kind = data.draw(st.sampled_from(sorted(USERS)))
    known = data.draw(st.lists(USERS[kind], min_size=8, max_size=20, unique=True))
    users = data.draw(st.lists(st.sampled_from([*known, None]), min_size=80, max_size=200))
    config = config_of(kind, data.draw(st.integers(0, 2**64)))
    in_parquet = config_of(kind, config.seed, format="parquet")
    texts = ["" if u is None else f"{u:x}" if kind == "hex" else str(u) for u in users]
    types = {"continuous": pl.Float64, "integer": pl.Int64, "hex": pl.Int64}
    series = pl.Series(users, dtype=types.get(kind, pl.String()))
    folder = tmp_path_factory.mktemp("log")
    found: list[Any] = []
    with chunks_of(data.draw(st.integers(30, 2000)), data.draw(st.integers(3, 300))):
        found += [splits_of(config, write_text(folder / "log.csv", texts, s)) for s in PACKED]
        found.append(splits_of(in_parquet, write_parquet(folder / "log.parquet", series)))
        found.append(splits_of(in_parquet, folder / "log.parquet", typed=True))
    found.append(splits_of(config, folder / "log.csv", typed=True))
    with patch.object(row_parser, "uses_native", return_value=False):
        found.append(splits_of(config, folder / "log.csv"))
    assert all(one == found[0] for one in found)
    if isinstance(found[0], str):
        assert "All rows of a value of 'user' are in one split" in found[0]
        return
    assert sorted(row for rows in found[0].values() for row in rows) == list(range(len(users)))
    homes: dict[Any, set[str]] = {}
    for split, rows in found[0].items():
        for row in rows:
            if texts[row]:
                homes.setdefault(texts[row], set()).add(split)
    assert all(len(splits) == 1 for splits in homes.values())


def groups(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """A group's number for each row, groups of 1 to some dozens of rows in random order."""
    ids = np.repeat(rng.integers(-(2**62), 2**62, count), rng.geometric(0.2, count))
    rng.shuffle(ids)
    return ids, group_of(ids)


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_the_shares_are_those_of_the_configuration_and_the_seed_changes_the_groups(
    seed: int,
) -> None:
    ids, group = groups(np.random.default_rng(seed), 20_000)
    config = config_of("integer", seed, {"train": 0.5, "valid": 0.1, "test": 0.2})
    click = np.zeros(len(ids), np.int8)
    found = assignment(config, len(ids))(RowSpan(0, 0, click, group))
    for outcome, share in ((TRAIN, 0.5), (VALID, 0.1), (TEST, 0.2), (3, 0.2)):
        assert np.mean(found == outcome) == pytest.approx(share, abs=0.015)
        assert len(np.intersect1d(ids[found == outcome], ids[found != outcome])) == 0
    other = config_of("integer", seed + 1, {"train": 0.5, "valid": 0.1, "test": 0.2})
    moved = found != assignment(other, len(ids))(RowSpan(0, 0, click, group))
    assert 0.5 < moved.mean() < 0.75  # 1 - (.5² + .1² + .2² + .2²) = .66


def test_the_order_of_the_rows_and_their_files_do_not_matter() -> None:
    rng = np.random.default_rng(2)
    ids, group = groups(rng, 500)
    assign = assignment(config_of("integer"), 0)
    click = np.zeros(len(ids), np.int8)
    order = rng.permutation(len(ids))
    found = assign(RowSpan(0, 0, click, group))
    assert (assign(RowSpan(10**12, 5, click, group[order])) == found[order]).all()


def test_rows_without_a_value_are_split_one_by_one() -> None:
    users = [f"u{i % 40}" if i % 2 else "" for i in range(4000)]
    group = group_of(Text.from_objects([user.encode() for user in users]))
    assert ((group == NO_GROUP) == [not user for user in users]).all()
    click = np.zeros(4000, np.int8)
    found = assignment(config_of("string"), 0)(RowSpan(0, 0, click, group))
    assert np.mean(found[::2] == TEST) == pytest.approx(0.3, abs=0.04)
    by_hash = Config.model_validate(
        {**config_of("string").model_dump(), "split": {"by": "hash", **SHARES}}
    )
    alone = assignment(by_hash, 4000)(RowSpan(0, 0, click))
    assert (found[::2] == alone[::2]).all()


def test_no_value_has_the_hash_of_a_missing_one() -> None:
    # The value that hashes to `MISSING_HASH`: the inverse of a bijective hash, step by step.
    value = 2**64 - 1
    for shift, factor in ((31, 0x94D049BB133111EB), (27, 0xBF58476D1CE4E5B9), (30, 1)):
        unmixed = value
        for _ in range(3):
            unmixed = value ^ unmixed >> shift
        value = unmixed * pow(factor, -1, 2**64) % 2**64
    values = np.array([value], np.uint64).view(np.int64)
    assert value_hash(values)[0] == NO_GROUP
    assert group_of(values)[0] != NO_GROUP
    assert group_of(np.array([-(2**63)]))[0] == NO_GROUP


@pytest.mark.parametrize(
    "users",
    [
        pl.Series([float(i % 25) for i in range(400)]),
        pl.Series([i % 25 for i in range(400)], dtype=pl.UInt64),
        pl.Series([str(i % 25) for i in range(400)], dtype=pl.Categorical),
        pl.Series([str(i % 25).encode() for i in range(400)]),
        pl.Series([i % 25 for i in range(400)]).cast(pl.Decimal(10, 0)),
    ],
    ids=lambda users: str(users.dtype),
)
def test_a_column_for_the_split_only_may_have_any_type_in_parquet(
    tmp_path: Path, users: pl.Series
) -> None:
    text = write_text(tmp_path / "log.csv", [str(i % 25) for i in range(400)], "")
    expected = splits_of(config_of("unused"), text)
    assert isinstance(expected, dict)
    config = config_of("unused", format="parquet")
    assert config.features == {"x": "integer"}
    file = write_parquet(tmp_path / "log.parquet", users)
    assert splits_of(config, file) == expected
    assert splits_of(config, file, typed=True) == expected


def test_missing_numbers_of_a_column_for_the_split_only(tmp_path: Path) -> None:
    users = [None if i % 4 == 0 else i % 25 for i in range(400)]
    text = ["" if user is None else str(user) for user in users]
    expected = splits_of(config_of("unused"), write_text(tmp_path / "log.csv", text, ""))
    config = config_of("unused", format="parquet")
    for name, missing in (("nan", float("nan")), ("null", None)):
        floats = [missing if user is None else float(user) for user in users]
        file = write_parquet(tmp_path / name, pl.Series(floats, dtype=pl.Float64))
        assert splits_of(config, file) == expected


def test_days_and_booleans_as_groups(tmp_path: Path) -> None:
    days = pl.Series([f"2024-01-{1 + i % 25:02}" for i in range(400)])
    text = write_text(tmp_path / "log.csv", days.to_list(), "")
    file = write_parquet(tmp_path / "log.parquet", days.str.to_date())
    config = config_of("unused", format="parquet")
    assert splits_of(config, file) == splits_of(config_of("unused"), text)
    truths = pl.Series([i % 3 > 0 for i in range(400)])
    error = splits_of(config, write_parquet(tmp_path / "two.parquet", truths))
    assert isinstance(error, str) and "holds 0 rows" in error


def test_a_list_in_parquet_is_refused(tmp_path: Path) -> None:
    users = pl.Series([[i % 5] for i in range(40)])
    error = splits_of(
        config_of("unused", format="parquet"), write_parquet(tmp_path / "log.parquet", users)
    )
    assert isinstance(error, str) and "\n" not in error
    assert error.endswith(
        "log.parquet: column 'user' is List(Int64), wanted single values to split the rows by."
    )


def test_a_group_value_is_checked_by_its_kind(tmp_path: Path) -> None:
    text = write_text(tmp_path / "log.csv", [str(i % 25) for i in range(400)], "")
    file = tmp_path / "bad.csv"
    file.write_text(text.read_text() + "1,400,x\n")
    made = ingest(config_of("integer"), [file], tmp_path / "out", lambda _: None)
    assert made.examples == (f"{file}:402: column 'user': wanted a 64-bit integer, found 'x'",)
    assert splits_of(config_of("integer"), file) == splits_of(config_of("integer"), text)


def test_a_column_for_the_split_only_may_have_the_name_of_a_tables_feature(
    tmp_path: Path,
) -> None:
    text = write_text(tmp_path / "log.csv", [str(i % 25) for i in range(400)], "")
    (tmp_path / "side").write_text("".join(f"{i},t{i}\n" for i in range(400)))
    plain = config_of("unused")
    table = {"file": "side", "header": False, "columns": {"x": "key", "user": "string"}}
    config = Config.model_validate({**plain.model_dump(), "tables": {"side": table}})
    expected = splits_of(plain, text)
    assert splits_of(config, text) == expected
    frame = pl.read_parquet(tmp_path / f"out of {text.name} False" / "probe" / "*.parquet")
    assert frame["user"][0].startswith("t")


def test_the_error_for_too_few_groups_has_advice(tmp_path: Path) -> None:
    error = splits_of(config_of("integer"), write_text(tmp_path / "log.csv", ["7"] * 40, ""))
    assert isinstance(error, str) and "\n" not in error
    assert "holds 0 rows, 0 of them clicks: wanted rows with clicks and rows without" in error
    assert "All rows of a value of 'user' are in one split: a column with more values" in error
