from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl

from plumbline.columns.kinds import Kind
from plumbline.columns.typed import TypedParquet, typed_schema
from plumbline.rawlogs.ingest import Ingested
from plumbline.rawlogs.parts import TypedWriter
from plumbline.rawlogs.probe import unseen_values, write_probe
from plumbline.settings import Config

FEATURES: dict[str, Kind] = {
    "price": "continuous",
    "shop": "integer",
    "hash": "hex",
    "word": "string",
}


def write(folder: Path, rows: int, **columns: object) -> pl.DataFrame:
    numbers = list(range(rows))
    frame = pl.DataFrame(
        {
            "price": [float(n) for n in numbers],
            "shop": numbers,
            "hash": numbers,
            "word": [f"w{n}" for n in numbers],
            "click": [n % 2 for n in numbers],
        }
    ).with_columns(**columns)  # type: ignore[arg-type]
    with TypedWriter(folder, typed_schema(FEATURES), 40, 10) as writer:
        writer.write(frame)
    return frame


def typed_copy(folder: Path, features: dict[str, Kind] = FEATURES) -> TypedParquet:
    return TypedParquet({split: folder / split for split in ("train", "test")}, features)


def test_rows_are_spread_evenly_and_stressed(tmp_path: Path) -> None:
    train = write(tmp_path / "train", 5)
    missing = pl.when(pl.col("shop") == 40).then("price")  # all but one row lack the price
    test = write(tmp_path / "test", 100, price=missing)
    assert write_probe(typed_copy(tmp_path), tmp_path, 20) == 20 + 4 + 3 + 1
    probe = pl.read_parquet(tmp_path / "probe" / "part-00000.parquet")

    assert probe["shop"][:20].to_list() == list(range(0, 100, 5))
    stressed = test.row(40, named=True)
    copies = probe[20:].rows(named=True)
    for copy, name in zip(copies, FEATURES, strict=False):
        assert copy == {**stressed, name: None}
    for copy, name in zip(copies[4:7], ("shop", "hash", "word"), strict=True):
        assert copy == {**stressed, name: copy[name]}
        assert copy[name] is not None
        assert copy[name] not in train[name].to_list()
    assert copies[7] == {**dict.fromkeys(FEATURES), "click": stressed["click"]}


def test_all_rows_of_a_short_test_split(tmp_path: Path) -> None:
    write(tmp_path / "train", 5)
    write(tmp_path / "test", 1)
    assert write_probe(typed_copy(tmp_path), tmp_path, 1000) == 1 + 8


def test_unseen_values_are_unseen_even_if_the_first_candidates_are_seen(tmp_path: Path) -> None:
    rows = 200
    taken = pl.int_range(rows, dtype=pl.Int64)
    train = write(
        tmp_path / "train",
        rows,
        shop=2**40 + taken,
        hash=0xFFFFFFFF - taken,
        word=pl.format("unseen {}", taken),
    )
    write(tmp_path / "test", 1)
    unseen = unseen_values(typed_copy(tmp_path))
    assert list(unseen) == ["shop", "hash", "word"]
    for name, value in unseen.items():
        assert value not in train[name].to_list()


def test_unseen_values_are_in_no_split(
    make_config: Callable[..., Config],
    ingest_text: Callable[..., Ingested],
    good_lines: list[str],
    split_rows: Callable[[str], pl.DataFrame],
) -> None:
    made = ingest_text(make_config({"header": False}), "\n".join(good_lines))
    rows = pl.concat([split_rows(split) for split in ("train", "valid", "test")])
    probe = split_rows("probe")
    assert made.rows["probe"] == len(probe) == 4 + 8
    for offset, name in enumerate(("shop", "hash", "word")):
        assert probe[name][8 + offset] not in rows[name].to_list()


def test_lists_are_stressed_too(tmp_path: Path) -> None:
    features: dict[str, Kind] = {"tags": "string_list", "ids": "hex_list"}
    rows = {
        "train": {"tags": [["unseen 0", None], []], "ids": [[0xFFFFFFFF], [None]]},
        "test": {"tags": [[], ["a"]], "ids": [[], [1, 2]]},
    }
    for split, columns in rows.items():
        with TypedWriter(tmp_path / split, typed_schema(features)) as writer:
            writer.write(pl.DataFrame({**columns, "click": [0, 1]}))
    assert write_probe(typed_copy(tmp_path, features), tmp_path, 10) == 2 + 2 + 2 + 2 + 1
    probe = pl.read_parquet(tmp_path / "probe" / "part-00000.parquet")
    assert probe.drop("click").rows()[2:] == [
        ([], [1, 2]),
        (["a"], []),
        (["a", "unseen 1"], [1, 2]),
        (["a"], [1, 2, 0xFFFFFFFE]),
        (["a", None], [1, 2]),
        (["a"], [1, 2, None]),
        ([], []),
    ]
