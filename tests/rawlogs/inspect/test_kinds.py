"""Kinds are guessed from names, types and values."""

import random
from collections.abc import Sequence

import polars as pl
import pytest

from plumbline.rawlogs.inspect.column import (
    Column,
    NumberFormat,
    missing_words,
    number_format,
    parquet_column,
    text_column,
)
from plumbline.rawlogs.inspect.kinds import guess_kind, one_list_mark

DRAWN = random.Random(2)
N = 600


def of_text(name: str, values: Sequence[object], missing: Sequence[str] = ()) -> Column:
    text = pl.Series(name, [None if value is None else str(value) for value in values])
    return text_column(name, text, NumberFormat(), missing)


def drawn(*values: object) -> list[object]:
    return [DRAWN.choice(values) for _ in range(N)]


def hashes(digits: int, many: int) -> list[object]:
    return drawn(*(f"{DRAWN.getrandbits(4 * digits - 1):0{digits}x}" for _ in range(many)))


COUNTS = [min(int(DRAWN.expovariate(0.5)), 30) for _ in range(N)]
CASES = {
    "integer": [
        ("user_id", drawn(*range(1, 90))),
        ("userId", drawn(*range(1, 90))),
        ("zip", drawn(*range(10_000, 10_090))),
        ("hour", drawn(*range(24))),
        ("dayofweek", drawn(*range(7))),
        ("year", drawn(2011, 2012, 2013)),
        ("Region", [min(count, 8) + 1 for count in COUNTS]),
        ("x", drawn(0, 1)),
        ("C14", drawn(*range(300, 24_000, 700))),
        ("c1", [DRAWN.randint(1, 60) for _ in range(N)]),
    ],
    "continuous": [
        ("price", [round(DRAWN.random() * 100, 2) for _ in range(N)]),
        ("age", [DRAWN.randint(17, 90) for _ in range(N)]),
        ("clicks_per_day", drawn(0, 1, 2, 3)),
        ("I3", COUNTS),
        ("campaign", [DRAWN.choice([1] * 400 + list(range(2, 60))) for _ in range(N)]),
        ("2020", [f"{DRAWN.random():.3f}" for _ in range(N)]),
    ],
    "boolean": [("flag", drawn("TRUE", "FALSE")), ("is_x", drawn("true", "False"))],
    "hex": [("site", hashes(8, 40)), ("C7", hashes(16, 40))],
    "string": [
        ("colour", drawn("red", "blue")),
        ("hash", hashes(32, 40)),
        ("code", drawn("00123", "01234", "99999")),
        ("answer", drawn("yes", "no")),
    ],
    "string_list": [
        ("genres", ["|".join(DRAWN.sample("abcdefg", DRAWN.randint(1, 4))) for _ in range(N)]),
        ("ids", [" ".join(f"n{DRAWN.randint(1, 30)}" for _ in range(4)) for _ in range(N)]),
    ],
    "time": [
        ("at", [f"2017-11-0{DRAWN.randint(1, 9)} 09:{DRAWN.randint(10, 59)}" for _ in range(N)]),
        ("timestamp", [1_400_000_000 + 7 * i for i in range(N)]),
        ("ts", [(1_400_000_000 + 7 * i) * 1000 for i in range(N)]),
        ("when", [f"{DRAWN.randint(13, 28)}/03/16 {DRAWN.randint(0, 23)}:53" for _ in range(N)]),
        ("hour", drawn(14102100, 14102101, 14102223)),
    ],
    "unused": [
        ("all_the_same", ["x"] * N),
        ("nothing", [None] * N),
        ("request_id", [DRAWN.getrandbits(60) for _ in range(N)]),
        ("uuid", [f"{DRAWN.getrandbits(128):032x}" for _ in range(N)]),
        ("Unnamed: 0", list(range(N))),
        ("comment", [f"a text of {DRAWN.random()} and so on {i}" for i in range(N)]),
        ("vector", [f"[{DRAWN.randint(1, 9)} {DRAWN.randint(1, 9)}]" for _ in range(N)]),
    ],
}


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [(name, values, kind) for kind, cases in CASES.items() for name, values in cases],
    ids=[f"{kind}-{name}" for kind, cases in CASES.items() for name, _ in cases],
)
def test_text_columns(name: str, values: Sequence[object], kind: str) -> None:
    guess = guess_kind(of_text(name, values))
    assert guess.kind == kind, guess
    assert guess.why


@pytest.mark.parametrize(
    ("name", "format"),
    [("when", "%d/%m/%y %H:%M"), ("hour", "%y%m%d%H"), ("timestamp", None), ("at", None)],
)
def test_times_name_their_format(name: str, format: str | None) -> None:
    values = dict(CASES["time"])[name]
    times = guess_kind(of_text(name, values)).times
    assert times is not None and times.format == format
    assert times.seconds.is_between(1.3e9, 1.6e9).all()


def test_day_and_month_that_may_be_swapped_are_reported() -> None:
    guess = guess_kind(of_text("date", drawn("01/02/2020", "03/04/2020", "05/01/2020")))
    assert guess.kind == "time" and "other way round" in (guess.check or "")


@pytest.mark.parametrize(
    ("values", "dtype", "kind"),
    [
        ([True, False] * 9, pl.Boolean, "boolean"),
        ([[1, 2], [3]] * 9, pl.List(pl.Int32), "integer_list"),
        ([["a"], ["b", "c"]] * 9, pl.List(pl.String), "string_list"),
        ([[0.5], [1.5]] * 9, pl.List(pl.Float32), "unused"),
        ([{"a": 1}, {"a": 2}] * 9, pl.Struct({"a": pl.Int8}), "unused"),
        ([b"a", b"b"] * 9, pl.Binary, "string"),
        ([1.0, None, 7.0] * 9, pl.Float64, "integer"),
        ([0.25, None, 7.0] * 9, pl.Float32, "continuous"),
        ([2**64 - 1, 5] * 9, pl.UInt64, "integer"),
    ],
)
def test_parquet_columns(values: list[object], dtype: pl.DataType, kind: str) -> None:
    assert guess_kind(parquet_column("thing", pl.Series(values, dtype=dtype))).kind == kind


def test_free_text_with_repeated_words_is_a_list_of_words() -> None:
    words = ["".join(DRAWN.sample("abcdefghijkl", 5)) for _ in range(100)]
    texts = [" ".join(DRAWN.sample(words, 6)) for _ in range(400)]
    unlike = [" ".join("".join(DRAWN.sample("abcdefghijkl", 9)) for _ in words[:6]) for _ in texts]
    guess = guess_kind(of_text("review", texts))
    assert (guess.kind, guess.list_mark) == ("string_list", " ")
    assert guess_kind(of_text("review", unlike)).kind == "unused"
    genres = guess_kind(of_text("genres", ["|".join(DRAWN.sample("abcdefg", 3)) for _ in range(N)]))
    settled = one_list_mark({"review": guess, "genres": genres}, ())
    assert (settled["review"].kind, settled["genres"].kind) == ("unused", "string_list")
    assert settled["review"].check is not None
    assert one_list_mark({"review": guess}, (",",))["review"].kind == "string_list"


def test_a_table_has_one_list_separator() -> None:
    lists = {
        "a": of_text("a", ["|".join(DRAWN.sample("abcdefg", 3)) for _ in range(N)]),
        "b": of_text("b", ["|".join(DRAWN.sample("hijklmn", 2)) for _ in range(N)]),
        "c": of_text("c", ["^".join(DRAWN.sample("opqrstu", 3)) for _ in range(N)]),
    }
    settled = one_list_mark({name: guess_kind(column) for name, column in lists.items()}, (",",))
    assert [guess.kind for guess in settled.values()] == ["string_list", "string_list", "string"]
    assert "list_separator" in (settled["c"].check or "")


@pytest.mark.parametrize(
    ("columns", "decimal", "thousands"),
    [
        ([["1,5", "2,25", "7"]], ",", None),
        ([["1.5", "2.25"]], ".", None),
        ([["1,234,567", "12"]], ".", ","),
        ([["1,234.5", "1,000.25"]], ".", ","),
        ([["1.234,5", "12,25"]], ",", "."),
        ([["1 234 567", "5"]], ".", " "),
        ([["a,b", "c"], ["1", "2"]], ".", None),
        ([["2019-01-01", "1,5 EUR"]], ".", None),
    ],
)
def test_marks_in_numbers(columns: list[list[str]], decimal: str, thousands: str | None) -> None:
    found = number_format([pl.Series(column) for column in columns], None)
    assert (found.decimal, found.thousands) == (decimal, thousands)


def test_the_separator_is_not_a_thousands_mark_without_quotes() -> None:
    assert number_format([pl.Series(["1,234,567"])], ",").thousands is None


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (["1", "NA", "2"], ["NA"]),
        (["1.5", "-", "2"], ["-"]),
        (["3", "unknown", "None"], ["None", "unknown"]),
        (["red", "unknown", "-"], []),
        (["red", "?", "\\N"], ["\\N", "?"]),
        (["NA", "DE", "FR", "GB", "US", "IT"], []),
    ],
)
def test_words_that_mean_missing(column: list[str], words: list[str]) -> None:
    assert missing_words([pl.Series(column)]) == words
