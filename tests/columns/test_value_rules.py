"""The meaning of values, by known answers: numbers, 64-bit ids, labels, times, text."""

from __future__ import annotations

import subprocess
import sys
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plumbline.base.errors import PlanError
from plumbline.columns.kinds import Kind
from plumbline.columns.unsigned import NO_CODE, signed_code, signed_codes, unsigned_number
from plumbline.columns.value_rules import kinds as value_kinds
from plumbline.columns.value_rules import text_values
from plumbline.columns.value_rules.convert import convert_column, convert_order
from plumbline.columns.value_rules.converted import ColumnRefused, raw_value
from plumbline.columns.value_rules.raw_columns import plain, values_of_raw
from plumbline.columns.value_rules.rules import ValueRules
from plumbline.columns.values import NULL_INT64
from plumbline.settings import Label

ROOT = Path(__file__).parents[2]
REFUSED = object()


def results(values: Any, kind: Kind, rules: ValueRules | None = None, **label: Any) -> list[Any]:
    """The values of a column; None for a missing value, `REFUSED` for a refused one."""
    column = values if isinstance(values, pl.Series) else pl.Series("c", values)
    rules = rules or ValueRules()
    if kind == "time":
        result = convert_order(column.alias("c"), rules)
    else:
        result = convert_column(column.alias("c"), kind, rules, Label(**label))
    return [
        REFUSED if refused else value
        for refused, value in zip(result.malformed.tolist(), result.value.to_list(), strict=True)
    ]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("7", 7), ("+7", 7), (" 7\t", 7), ("-7", -7), ("8.0", 8), ("8.", 8), ("7e0", 7),
        ("1e3", 1000),
        ("12.5e1", 125), ("9007199254740993.0", 2**53 + 1), ("-0.0", 0), ("nan", None), ("", None),
        ("0" * 30 + "5", 5), ("9223372036854775807.000", 2**63 - 1), ("1e18", 10**18),
        (str(2**63 + 1), 1 - 2**63), (str(2**64 - 1), -1), ("18446744073709551615.0", -1),
        ("7.5", REFUSED), ("0x10", REFUSED), ("1_000", REFUSED), ("1,000", REFUSED),
        (str(2**64), REFUSED), ("1e20", REFUSED), ("1e999999999", REFUSED), ("-1e19", REFUSED),
        (str(-(2**63)), REFUSED), (str(NO_CODE), REFUSED), ("inf", REFUSED), ("7 7", REFUSED),
        ("--7", REFUSED), ("٧", REFUSED), ("true", REFUSED),
    ],
)  # fmt: skip
def test_whole_numbers_in_text_are_exact(text: str, number: Any) -> None:
    assert results([text], "integer") == [number]
    whole = text_values.whole(text, ValueRules())
    assert (REFUSED if whole is text_values.REFUSED else whole) == number


@settings(max_examples=200)
@given(
    number=st.integers(-(2**63) + 1, 2**64 - 1).filter(lambda n: n != NO_CODE),
    spelling=st.sampled_from(["{}", "+{}", " {} ", "{}.0", "{}.000", "{}e0", "{}.0E+0", "{:,}"]),
)
def test_every_64_bit_number_has_its_code(number: int, spelling: str) -> None:
    text = spelling.format(number) if number >= 0 else spelling.replace("+{", "{").format(number)
    code = number if number < 2**63 else number - 2**64
    if number == 2**63:
        code = NO_CODE - 2**64
    assert results([text], "integer", ValueRules(thousands=",")) == [code]
    assert signed_code(number) == code
    if number >= 0:
        assert unsigned_number(code) == number
        assert results([f"{number:X}"], "hex") == [code]
        assert results(pl.Series([number], dtype=pl.UInt64), "integer") == [code]
        assert signed_codes(np.array([number], np.uint64))[0].tolist() == [code]
    assert results(pl.Series([Decimal(number)]), "integer") == [code]


def test_the_number_without_a_code_is_refused() -> None:
    for values in (pl.Series([NO_CODE], dtype=pl.UInt64), pl.Series([str(NO_CODE)])):
        result = convert_column(values, "integer", ValueRules())
        assert result.malformed.tolist() == [True]
        assert "this one number of 64 bits has no code: declare" in result.reason(values[0])
    result = convert_column(pl.Series([f"{NO_CODE:x}"]), "hex", ValueRules())
    assert "has no code" in result.reason(f"{NO_CODE:x}")


@pytest.mark.parametrize("values", [["-1", str(2**63)], ["-5.0", f"{2**64 - 1}.0"]])
def test_negative_numbers_beside_large_ones_are_refused(values: list[str]) -> None:
    with pytest.raises(ColumnRefused, match=r"holds the negative number -.*declare it as str"):
        results(values, "integer")
    word = values[0]
    assert results(values, "integer", ValueRules(missing=(word,)))[0] is None
    assert results(["-1", "0", "5"], "integer") == [-1, 0, 5]


COMMA = ValueRules(decimal=",", thousands=".")


@pytest.mark.parametrize(
    ("text", "rules", "number"),
    [
        ("1.234.567,89", COMMA, 1234567.89), ("1.234", COMMA, 1234.0), ("-1.234,5", COMMA, -1234.5),
        ("12,5", COMMA, 12.5), ("1.234,5e2", COMMA, 123450.0), (",5", COMMA, 0.5),
        ("7", COMMA, 7.0),
        ("1.23", COMMA, REFUSED), ("12.34,5", COMMA, REFUSED), ("1234.567", COMMA, REFUSED),
        ("1,2,3", COMMA, REFUSED), ("1.234.56", COMMA, REFUSED), (".123", COMMA, REFUSED),
        ("1,5", ValueRules(decimal=","), 1.5), ("1.5", ValueRules(decimal=","), REFUSED),
        ("1,234,567.5", ValueRules(thousands=","), 1234567.5),
        ("1.5", ValueRules(thousands=","), 1.5),
        ("12,34", ValueRules(thousands=","), REFUSED), ("1 234", ValueRules(thousands=" "), 1234.0),
        ("1\u00a0234", ValueRules(thousands=" "), 1234.0), ("1\u202f234,5",
         ValueRules(thousands=" ", decimal=","), 1234.5),
        ("1'234", ValueRules(thousands="'"), 1234.0),
        ("1 234", ValueRules(), REFUSED), ("1,5", ValueRules(), REFUSED),
    ],
)  # fmt: skip
def test_marks_of_numbers(text: str, rules: ValueRules, number: Any) -> None:
    wanted = number if number is REFUSED else np.float32(number)
    assert results([text], "continuous", rules) == [wanted]
    if number is not REFUSED:
        assert results([text], "label", rules, at_least=number) == [1]
        whole = int(number) if number == int(number) else REFUSED
        assert results([text], "integer", rules) == [whole]


@pytest.mark.parametrize("kind", ["continuous", "integer", "boolean", "hex", "string", "flag"])
def test_words_for_missing_are_missing_in_every_kind(kind: Kind) -> None:
    rules = ValueRules(missing=("NA", "\\N", "-999"))
    assert results(["NA", "\\N", "", None], kind, rules) == [None] * 4
    other = REFUSED if kind != "string" else "na"
    assert results(["na"], kind, rules) == [other]
    assert results(["NA"], kind) == [REFUSED if kind != "string" else "NA"]
    if kind != "string":
        assert results([" NA "], kind, rules) == [None]


def test_a_number_for_missing_is_missing_in_any_spelling() -> None:
    rules = ValueRules(missing=("-999",))
    for values in (["-999", "-999.0", " -999"], [-999], [-999.0], [Decimal("-999.0")]):
        for kind in ("continuous", "integer"):
            assert set(results(values, kind, rules)) == {None}
    assert results(["-999", "-999.0"], "string", rules) == [None, "-999.0"]
    assert results([0, 1, -9990], "integer", rules) == [0, 1, -9990]
    # A word that is a number does not make a refused value missing.
    assert results(["abc", "0"], "integer", ValueRules(missing=("0",))) == [REFUSED, None]


def test_a_missing_label_is_malformed_in_every_setting() -> None:
    rules = ValueRules(missing=("NA",))
    for label in ({}, {"at_least": 1.0}, {"click": ["yes"]}):
        assert results(["NA", "", None], "label", rules, **label) == [REFUSED] * 3
        assert results([None, float("nan")], "label", rules, **label) == [REFUSED] * 2


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["true", "False", "TRUE", "1", "0", "1.0", " 0 "], [1, 0, 1, 1, 0, 1, 0]),
        ([True, False, None], [1, 0, REFUSED]),
        ([1.0, 0.0, 0.5], [1, 0, REFUSED]),
        ([b"true", b"no"], [1, REFUSED]),
        (["yes", "no", "t", "2", "nan"], [REFUSED] * 5),
    ],
)
def test_labels_without_settings(values: list[Any], expected: list[Any]) -> None:
    assert results(values, "label") == expected


@pytest.mark.parametrize(
    ("click", "values", "expected"),
    [
        (["yes"], ["yes", "no", " yes ", "YES", ""], [1, 0, 1, 0, REFUSED]),
        ([">50K", "a"], [">50K", "<=50K", "a"], [1, 0, 1]),
        (["1"], ["1", "1.0", "0", "2", "x"], [1, 1, 0, 0, 0]),
        ([1, 2.0], [1, 2, 3], [1, 1, 0]),
        ([1], [True, False], [1, 0]),
        (["true"], [True, False], [1, 0]),
        ([False], [True, False], [0, 1]),
        ([True], ["Yes", "on", "True", "no", "1"], [1, 1, 1, 0, 0]),  # YAML's yes, without quotes
        (["a"], [1, 0], [0, 0]),
    ],
)
def test_click_words(click: list[Any], values: list[Any], expected: list[Any]) -> None:
    assert results(values, "label", click=click) == expected


def test_a_refused_label_names_the_setting() -> None:
    for value, setting in (("no", "label.click"), ("2", "label.at_least"), (2, "label.at_least")):
        column = pl.Series([value])
        reason = convert_column(column, "label", ValueRules(), Label()).reason(value)
        assert reason.startswith(f"wanted label 0 or 1, found {value!r}; give {setting} ")
    assert (
        convert_column(pl.Series([""]), "label", ValueRules(), Label())
        .reason(None)
        .endswith("nothing")
    )


@pytest.mark.parametrize("kind", ["boolean", "flag"])
def test_words_of_booleans(kind: Kind) -> None:
    yes = ["true", "T", "Yes", "y", "ON", "1", "1.0", "1e0", " yes "]
    no = ["FALSE", "f", "No", "N", "off", "0", "-0", "0.0"]
    assert results(yes, kind) == [1] * len(yes)
    assert results(no, kind) == [0] * len(no)
    assert results(["maybe", "2", "yess", "0.5"], kind) == [REFUSED] * 4


SECOND = 1_569_888_420.0


@pytest.mark.parametrize(
    "text",
    [
        "2019-10-01 00:07:00 UTC", "2019-10-01 00:07", "2019-10-01T00:07Z", "20191001T000700Z",
        "20191001T0007", "2019-10-01T00:07:00.000", "2019-10-01 00:07:00,0",
        "2019-10-01T02:07:00+02",
        "2019-10-01T02:07:00+0200", "2019-10-01T02:07:00+02:00", "2019-09-30T23:07-01:00",
        "2019-10-01 00:07:00 GMT", "2019-10-01t00:07:00z", "2019-W40-2T00:07", "2019W402T0007Z",
        "2019-274T00:07:00", "2019274T000700", " 2019-10-01 00:07 ", "2019-10-01 00:07:00+00:00",
        "1569888420", "1569888420.0", "1569888420000", "1569888420000000", "1569888420000000000",
        "1.56988842e9", "2019-10-01  00:07:00",
    ],
)  # fmt: skip
def test_spellings_of_a_time(text: str) -> None:
    assert results([text], "time") == [SECOND]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2017-11-07 09:30:38", 1510047038.0), ("1970-01-02", 86400.0), ("1969-12-31", -86400.0),
        ("1970-01", 0.0), ("1970-01-01T00:00:00.25", 0.25), ("1970-01-01T00:00:00,25Z", 0.25),
        ("1970-01-01T24:00", 86400.0), ("1970-01-01T00.5", 1800.0), ("-5", -5.0),
        ("99999999999", 99999999999.0),
        ("100000000000", 1e8), ("", REFUSED), ("nan", REFUSED), ("inf", REFUSED),
        ("yesterday", REFUSED), ("2019-13-01", REFUSED), ("2019-02-30", REFUSED),
        ("2019-10-01T25:00", REFUSED), ("2019-10-01T00:60", REFUSED), ("01/10/2019", REFUSED),
        ("2019-10-01T00:00+99:00", REFUSED), ("2019-366", REFUSED), ("2019-W54-1", REFUSED),
    ],
)  # fmt: skip
def test_times_and_refused_texts(text: str, seconds: Any) -> None:
    assert results([text], "time") == [seconds]


@given(
    moment=st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)),
    format_=st.sampled_from(["%Y-%m-%dT%H:%M:%S.%f", "%Y%m%dT%H%M%S,%fZ", "%G-W%V-%uT%H:%M:%S.%f"]),
)
def test_times_of_all_days(moment: datetime, format_: str) -> None:
    expected = moment.replace(tzinfo=timezone.utc).timestamp()
    assert results([moment.strftime(format_)], "time") == [pytest.approx(expected, abs=2e-6)]


@pytest.mark.parametrize(
    ("format_", "values", "seconds"),
    [
        ("%d/%m/%y %H:%M", ["27/03/16 0:53", "27-03-16"], [1459039980.0, REFUSED]),
        ("%y%m%d%H", ["14102100", "14102123"], [1413849600.0, 1413932400.0]),
        ("%y%m%d%H", [14102100, 99], [1413849600.0, REFUSED]),
        ("%d/%b/%Y:%H:%M:%S %z", ["10/Oct/2000:13:55:36 -0700"], [971211336.0]),
        ("%m/%d/%Y %I:%M %p", ["01/02/1970 12:30 AM", "01/02/1970 1:00 pm"], [88200.0, 133200.0]),
        ("%Y-%m-%d %H.%M.%S.%f", ["1970-01-01 00.00.01.250000"], [1.25]),
        ("%Y.%m.%d", ["1970.01.02", "", None], [86400.0, REFUSED, REFUSED]),
        ("%d.%m.%Y", [date(1970, 1, 2)], [86400.0]),
    ],
)
def test_times_of_a_format(format_: str, values: list[Any], seconds: list[Any]) -> None:
    assert results(values, "time", ValueRules(time_formats={"c": format_})) == seconds


def test_the_message_for_a_refused_time_shows_how_to_set_a_format() -> None:
    column = pl.Series("seen", ["27/03/16 0:53"])
    reason = convert_column(column, "time", ValueRules()).reason(column[0])
    assert reason.startswith("wanted a number or an ISO 8601 time, found '27/03/16 0:53'; give its")
    assert 'seen: {kind: time, format: "' in reason


def test_text_is_trimmed_if_the_rules_say_so() -> None:
    trimming = ValueRules(trim=True, missing=("NA",))
    assert results([" a ", "\t", "NA ", "a b"], "string", trimming) == ["a", None, None, "a b"]
    assert results([" a ", "\t"], "string") == [" a ", "\t"]
    assert results([[" a ", " "], [" NA"]], "string_list", trimming) == [["a", None], [None]]
    lists = ValueRules(trim=True, missing=("NA",), list_separator="|")
    assert results(["a | b", " NA ", " "], "string_list", lists) == [["a", "b"], [], []]


def test_values_of_other_types_become_text() -> None:
    assert results([7, None], "string") == ["7", None]
    assert results([7.0, 2.0**70, 7.5, float("nan")], "string") == [
        "7",
        str(2**70),
        REFUSED,
        None,
    ]
    assert results([Decimal("7.00"), Decimal("7.50")], "string") == ["7", REFUSED]
    assert results([True, False], "string") == ["true", "false"]
    moments = pl.Series([datetime(2019, 10, 1), datetime(2019, 10, 1, 0, 0, 0, 5)])
    for unit in ("us", "ns"):
        text = results(moments.cast(pl.Datetime(unit)), "string")
        assert text == ["2019-10-01T00:00:00", "2019-10-01T00:00:00.000005"]


LETTERS = "0123456789.,+-eE_ \tnaifxNtrue"


@settings(max_examples=200)
@given(
    texts=st.lists(st.text(st.sampled_from(LETTERS), max_size=8), max_size=5),
    rules=st.sampled_from(
        [ValueRules(), COMMA, ValueRules(missing=("1", "na")), ValueRules(trim=True)]
    ),
    kind=st.sampled_from(["continuous", "integer", "hex", "boolean", "string"]),
)
def test_columns_mean_what_their_texts_mean(texts: list[str], rules: ValueRules, kind: Any) -> None:
    """Conversion with Polars and without it agrees with `text_values` on every text."""
    try:
        values = results(pl.Series(texts, dtype=pl.String), kind, rules)
    except ColumnRefused:
        return
    without_polars = plain(pa.chunked_array([pa.array(texts, pa.string())]), kind, rules)
    if kind == "string":
        assert values == [text_values.text(text, rules) for text in texts]
        return
    meaning = {"continuous": text_values.real, "integer": text_values.whole,
               "hex": text_values.hexadecimal, "boolean": text_values.boolean}[kind]  # fmt: skip
    single = [meaning(text, rules) for text in texts]
    if kind == "continuous":
        with np.errstate(over="ignore"):
            single = [None if v is None else v if v is text_values.REFUSED else float(np.float32(v))
                      for v in single]  # fmt: skip
        single = [text_values.REFUSED if v in (np.inf, -np.inf) else v for v in single]
    assert values == [REFUSED if v is text_values.REFUSED else v for v in single]
    if without_polars is not None:
        plain_values = np.asarray(without_polars).tolist()
        assert [None if v == NULL_INT64 or v != v else v for v in plain_values] == values


def test_the_page_of_kinds_has_the_types_that_each_kind_accepts() -> None:
    page = (ROOT / "docs" / "kinds.md").read_text(encoding="utf-8")
    table = page.partition("| kind |")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in line.split(" | ")] for line in table.splitlines()[2:]]
    documented = {kind.strip("| `"): types for kind, _, types, _ in rows}
    accepted = {kind: ", ".join(of.families) for kind, of in value_kinds.ACCEPTED.items()}
    assert documented == accepted
    for family in get_args(value_kinds.Family):
        assert f"\n| {family} | " in page


def test_rules_are_read_from_a_logs_settings_and_from_their_json() -> None:
    rules = ValueRules(missing=("NA",), decimal=",", thousands=".", trim=True, list_separator="|")
    assert ValueRules.from_json(rules.to_json()) == rules
    assert ValueRules.from_json('{"separator": ";", "columns": {"a": "label"}}') == ValueRules()
    with pytest.raises(ValueError, match="wanted a JSON object, got list"):
        ValueRules.from_json("[]")


def test_served_code_does_not_import_the_rules() -> None:
    check = (
        "import sys, plumbline.columns.wire; "
        "import plumbline.features.encoding.online, plumbline.serving.backend.loading; "
        "unwanted = ('plumbline.columns.value_rules', 'polars'); "
        "sys.exit(any(name.startswith(unwanted) for name in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", check], check=True, cwd=ROOT)


@pytest.mark.parametrize(
    ("kind", "found", "hint"),
    [
        ("continuous", "NA", "log.missing"),
        ("continuous", "-", "log.missing"),
        ("continuous", "1,5", "log.decimal"),
        ("continuous", "1 234", "log.thousands takes the mark: ' '"),
        ("continuous", "1,234", "log.decimal or log.thousands"),
        ("continuous", "0x10", "kind string"),
        ("integer", "NULL", "log.missing"),
        ("integer", "7.5", "kind continuous"),
        ("integer", 7.5, "kind continuous"),
        ("integer", Decimal("7.5"), "kind continuous"),
        ("integer", "1'234", "log.thousands"),
        ("integer", "yes", "kind boolean"),
        ("integer", "0x1f", "kind string"),
        ("integer", str(2**64), "kind string"),
        ("integer", "1e400", "kind string"),
        ("hex", "0x1f", "kind string"),
        ("boolean", "maybe", "kind string"),
        ("boolean", "2", "integer"),
        ("string", 2.5, "kind continuous"),
        ("integer_list", ["7", "x"], "log.missing"),
    ],
)
def test_the_advice_names_what_would_accept_the_value(kind: Kind, found: Any, hint: str) -> None:
    refused = convert_column(pl.Series("c", [found]), kind, ValueRules())
    assert refused.malformed.tolist() == [True]
    assert hint in refused.reason(found).partition(", found ")[2] + refused.advice(found)


@pytest.mark.parametrize(("kind", "found"), [("continuous", "inf"), ("integer", float("inf"))])
def test_there_is_no_advice_for_an_infinite_number(kind: Kind, found: Any) -> None:
    refused = convert_column(pl.Series("c", [found]), kind, ValueRules())
    assert refused.malformed.tolist() == [True]
    assert not refused.advice(found)


def test_missing_integers_are_exact() -> None:
    rules = ValueRules(missing=(str(2**53 + 1), str(2**64 - 1)))
    ids = [2**53, 2**53 + 1, 2**53 + 2, 2**63]
    expected = [2**53, None, 2**53 + 2]
    assert results([str(n) for n in [*ids[:3], 2**64 - 1]], "integer", rules) == [*expected, None]
    assert results(ids[:3], "integer", rules) == expected
    column = pa.chunked_array([pa.array(ids[:3])])
    assert plain(column, "integer", rules).tolist() == [2**53, NULL_INT64, 2**53 + 2]


@pytest.mark.parametrize("word", ["yes", "true", "on", "T", "1"])
def test_a_word_for_true_is_the_click_of_a_boolean_label(word: str) -> None:
    assert results([True, False, None], "label", click=(word,)) == [1, 0, REFUSED]


def test_only_bytes_that_are_not_utf_8_are_reported_as_such() -> None:
    refused = convert_column(pl.Series("c", [b"x7", b"\xff"]), "continuous", ValueRules())
    assert refused.malformed.all()
    assert "UTF-8" not in refused.reason(b"x7")
    assert "UTF-8" in refused.reason(b"\xff")


def test_times_follow_the_rules_of_numbers() -> None:
    comma = ValueRules(decimal=",")
    assert results(["1569888000,5", "2019-10-01"], "time", comma) == [1569888000.5, 1569888000.0]
    digits = ValueRules(time_formats={"c": "%y%m%d%H"})
    assert results([14102100.0, 14102100.5], "time", digits) == [1413849600.0, REFUSED]
    assert results(["٢٠١٩-10-01"], "time") == [REFUSED]


@pytest.mark.parametrize("kind", ["time", "integer"])
@pytest.mark.parametrize(
    "values",
    [
        pa.array([2**62], pa.timestamp("us")),
        pa.array([-(2**50)], pa.timestamp("s")),
        pa.array([2**31 - 1], pa.int32()).view(pa.date32()),
    ],
    ids=lambda values: str(values.type),
)
def test_a_time_beyond_all_years_is_refused_by_its_number(values: pa.Array, kind: Any) -> None:
    with pytest.raises(PlanError, match="Column 'at'"):
        values_of_raw("at", pa.chunked_array([values]), kind, ValueRules())


def test_a_malformed_time_is_shown_as_a_time() -> None:
    column = pl.Series("at", [datetime(2024, 5, 1), datetime(1, 1, 1), None], pl.Datetime)
    assert [raw_value(column, row) for row in range(3)] == column.to_list()
    assert raw_value(pl.Series("at", [2**62]).cast(pl.Datetime("us")), 0) == 2**62
