from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from plumbline.base.errors import DataError
from plumbline.rawlogs.ingest import Ingested, ingest_typed
from plumbline.settings import Config

HEADER = "clicked,price,shop,hash,word\n"
Rows = Callable[[str], pl.DataFrame]


def test_parts_have_the_features_in_order_and_the_click(
    make_config: Callable[..., Config],
    ingest_text: Callable[..., Ingested],
    good_lines: list[str],
    tmp_path: Path,
) -> None:
    made = ingest_text(make_config(), HEADER + "\n".join(good_lines))
    schema = pq.read_schema(tmp_path / "out" / "train" / "part-00000.parquet")
    assert schema.remove_metadata() == pa.schema(
        {
            "price": pa.float32(),
            "shop": pa.int64(),
            "hash": pa.int64(),
            "word": pa.string(),
            "click": pa.int8(),
        }
    )
    assert made.rows == {"train": 12, "valid": 4, "test": 4, "probe": 4 + 4 + 3 + 1}
    assert made.click_rate == {"train": 0.5, "valid": 0.5, "test": 0.5}
    assert (made.malformed, made.examples, made.unmatched) == (0, (), {})
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "probe",
        "test",
        "train",
        "valid",
    ]


def test_values_of_all_splits(
    make_config: Callable[..., Config],
    ingest_text: Callable[..., Ingested],
    good_lines: list[str],
    split_rows: Rows,
) -> None:
    ingest_text(make_config(), HEADER + "\n".join(good_lines))
    rows = pl.concat([split_rows(split) for split in ("train", "valid", "test")]).rows()
    assert rows == [(i + 0.5, i, i, f"w{i}", i % 2) for i in range(20)]


def test_leftovers_of_an_earlier_attempt_are_deleted(
    make_config: Callable[..., Config],
    ingest_text: Callable[..., Ingested],
    good_lines: list[str],
    tmp_path: Path,
) -> None:
    for folder in ("train", "typed", "probe"):
        stale = tmp_path / "out" / folder / "part-00007.parquet"
        stale.parent.mkdir(parents=True)
        stale.write_text("half written")
    ingest_text(make_config(), HEADER + "\n".join(good_lines))
    assert not list((tmp_path / "out").rglob("part-00007.parquet"))


def test_two_attempts_give_the_same_bytes(
    make_config: Callable[..., Config],
    good_lines: list[str],
    tmp_path: Path,
) -> None:
    config = make_config(split={"by": "hash", "valid": 0.2, "test": 0.3})
    file = tmp_path / "log"
    file.write_text(HEADER + "\n".join(good_lines * 5))
    contents = []
    for attempt in ("one", "two"):
        ingest_typed(config, [file], tmp_path / attempt, lambda _: None)
        parts = sorted((tmp_path / attempt).rglob("*.parquet"))
        contents.append([part.read_bytes() for part in parts])
    assert len(contents[0]) == 4
    assert contents[0] == contents[1]


@pytest.mark.parametrize("text", [HEADER, HEADER + "\n\n"])
def test_a_file_without_rows(
    make_config: Callable[..., Config], ingest_text: Callable[..., Ingested], text: str
) -> None:
    with pytest.raises(DataError, match=r"log_0\.csv: the file holds no rows"):
        ingest_text(make_config(), text)


def test_a_log_without_a_usable_row(
    make_config: Callable[..., Config], ingest_text: Callable[..., Ingested]
) -> None:
    with pytest.raises(DataError, match=r"No usable row in the log.*log_0\.csv:2: "):
        ingest_text(make_config(), HEADER + "bad\n")


def test_a_split_of_one_class(
    make_config: Callable[..., Config], ingest_text: Callable[..., Ingested]
) -> None:
    lines = [f"{i % 2 if i < 12 else int(i < 16)},{i},,," for i in range(20)]
    with pytest.raises(DataError, match="Split 'valid' holds 4 rows, 4 of them clicks: wanted"):
        ingest_text(make_config(), HEADER + "\n".join(lines))


def test_an_empty_split(
    make_config: Callable[..., Config], ingest_text: Callable[..., Ingested]
) -> None:
    config = make_config(split={"by": "rows", "valid": 0.01, "test": 0.5})
    lines = [f"{i % 2},{i},,," for i in range(8)]
    with pytest.raises(DataError, match="Split 'valid' holds 0 rows, 0 of them clicks"):
        ingest_text(config, HEADER + "\n".join(lines))


def test_parquet_logs(make_config: Callable[..., Config], tmp_path: Path, split_rows: Rows) -> None:
    frame = pl.DataFrame(
        {
            "word": ["a", None] * 10,
            "hash": [f"{i:x}" for i in range(20)],
            "shop": pl.Series(range(20), dtype=pl.Int32),
            "price": [float("nan"), 1.5] * 10,
            "clicked": [True, False] * 10,
        }
    )
    frame.write_parquet(tmp_path / "log.parquet")
    config = make_config({"format": "parquet"})
    made = ingest_typed(config, [tmp_path / "log.parquet"], tmp_path / "out", lambda _: None)
    assert made.rows["train"] == 12
    assert split_rows("train").head(2).rows() == [(None, 0, 0, "a", 1), (1.5, 1, 1, None, 0)]
