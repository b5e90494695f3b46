"""For any file, init proposes a configuration that loads, or raises a one-line error."""

import random
import tempfile
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from plumbline.base.errors import PlumblineError
from plumbline.rawlogs.inspect.proposal import propose
from plumbline.rawlogs.inspect.yaml_text import to_yaml
from plumbline.settings.configuration import load_config

QUICK = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, *HealthCheck])
WORDS = [
    *("", "0", "1", "7", "1.5", "1,5", "NA", "?", "yes", "no", "True", "x|y", "[1]", "-1", "nan"),
    *("2020-01-01", "1e400", "é", "'", "0x10", "00ff", "9" * 25, "a" * 70, "two words", "\u2028"),
]


def described(path: Path, label: str | None = None) -> str | None:
    """The configuration, or None if the file is refused in one line."""
    try:
        text = to_yaml(propose([path], None, label, []), "command")
    except PlumblineError as error:
        assert "\n" not in str(error) or str(error).strip()
        return None
    file = path.parent / "config.yaml"
    file.write_text(text, encoding="utf-8")
    load_config(file)
    return text


@QUICK
@given(st.binary(min_size=1, max_size=400))
@example(b"\xff\xfe")
@example(b"\x00\x00")
@example(b"BZh9")
@example(b"(\xb5/\xfd\x00")
@example(b'"')
@example(b"a,b\n" * 3)
def test_any_bytes(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "log"
        file.write_bytes(content)
        described(file)


@QUICK
@given(st.data())
def test_any_table_of_text(data: st.DataObject) -> None:
    names = data.draw(
        st.lists(st.sampled_from([*WORDS, "id", "at", "user", "y", "on"]), max_size=4)
    )
    columns = [*names, "click"]
    fields = st.sampled_from(WORDS)
    rows = data.draw(st.lists(st.lists(fields, min_size=len(columns), max_size=len(columns))))
    separator = data.draw(st.sampled_from([",", ";", "\t", "::", "|"]))
    lines = [separator.join(row) for row in ([columns, *rows])]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "log.csv"
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        described(file)
        described(file, "click")


@QUICK
@given(st.data())
def test_any_parquet_table(data: st.DataObject) -> None:
    types = [pl.Int8, pl.UInt64, pl.Float32, pl.String, pl.Boolean, pl.Date, pl.Binary, pl.Duration,
             pl.Time, pl.Null, pl.List(pl.Int64), pl.List(pl.String), pl.Decimal(20, 3),
             pl.Datetime("ns", "UTC"), pl.Categorical, pl.Array(pl.Int8, 2), pl.Object]  # fmt: skip
    rows = data.draw(st.integers(1, 30))
    chosen = data.draw(st.lists(st.sampled_from(types[:-1]), min_size=1, max_size=5))
    frame = pl.DataFrame(
        [pl.Series(f"x{i}", [None] * rows, dtype) for i, dtype in enumerate(chosen)]
    )
    values = data.draw(st.lists(st.integers(0, 1), min_size=rows, max_size=rows))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "log.parquet"
        frame.with_columns(click=pl.Series(values)).write_parquet(file)
        described(file)


@pytest.mark.parametrize("dtype", [pl.Float64, pl.Int64, pl.Boolean, pl.String])
def test_a_label_of_any_type(tmp_path: Path, dtype: type[pl.DataType]) -> None:
    clicks = pl.Series([0, 1] * 300)
    values = pl.Series(["no", "yes"] * 300) if dtype == pl.String else clicks.cast(dtype)
    frame = pl.DataFrame({"x": [float(i % 7) / 2 for i in range(600)], "click": values})
    frame.write_parquet(tmp_path / "log.parquet")
    text = described(tmp_path / "log.parquet")
    assert text is not None and "click: label" in text


def test_free_text_of_a_parquet_table_names_its_list_separator(tmp_path: Path) -> None:
    drawn = random.Random(4)
    words = ["".join(drawn.sample("abcdefghijkl", 5)) for _ in range(80)]
    frame = pl.DataFrame(
        {
            "click": [row % 2 for row in range(300)],
            "review": [" ".join(drawn.sample(words, 6)) for _ in range(300)],
        }
    )
    frame.write_parquet(tmp_path / "log.parquet")
    assert described(tmp_path / "log.parquet") is not None
    config = load_config(tmp_path / "config.yaml")
    assert config.log.columns["review"] == "string_list" and config.log.list_separator == " "
