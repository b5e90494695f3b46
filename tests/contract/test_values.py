"""The contract of values: the ingest and the client accept and refuse the same values.

The ingest reads a raw value from a file, and the client gets it in every format of rows that it
accepts. Both make the same wire value of it, or both refuse it with the same message.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plumbline.base.errors import DataError, PlanError
from plumbline.columns.kinds import ELEMENT_KINDS, PLAN_KINDS, FeatureKind, Kind
from plumbline.columns.unsigned import NO_CODE, signed_code
from plumbline.columns.value_rules.rules import ValueRules
from plumbline.columns.values import NULL_INT64
from plumbline.columns.wire import Tensors, WireColumns, from_tensors, to_tensors
from plumbline.rawlogs.convert import convert
from plumbline.rawlogs.raw_rows import read_raw_rows
from plumbline.serving.client.tables import to_table
from plumbline.settings import Label, Table

MANY = 150
"""How often rows are repeated so that they are converted as whole columns."""


def ingested(file: Path, table: Table, kind: FeatureKind) -> tuple[Tensors, list[str]]:
    """The wire tensors of the usable rows, and the reasons why the others were refused."""
    if kind == "time":
        table = table.model_copy(update={"time_features": ("c",)})
    (raw,) = read_raw_rows(file, table, ["c"])
    frame, faults = convert(file, raw, {"c": kind}, Label(), table)
    columns = WireColumns.of({"c": kind})
    return to_tensors(frame.to_arrow(), columns), [fault.reason for fault in faults]


def scored(data: Any, kind: FeatureKind, rules: ValueRules) -> tuple[Tensors | None, str]:
    """The wire tensors of the client, or None and the message of its error."""
    columns = WireColumns.of({"c": kind})
    try:
        return to_tensors(to_table(data, ["c"]), columns, rules), ""
    except PlanError as error:
        return None, str(error)


def require_same(
    result: tuple[Tensors | None, str], wanted: Tensors, reasons: Sequence[str]
) -> None:
    tensors, refusal = result
    if not reasons:
        assert tensors is not None, refusal
        assert tensors.keys() == wanted.keys()
        for name, tensor in tensors.items():
            np.testing.assert_array_equal(tensor, wanted[name])
        return
    assert tensors is None
    words = reasons[0].removeprefix("column 'c': ").split("; ")[0].split(", which")[0]
    assert refusal.startswith("Column 'c': ") and words in refusal, (refusal, reasons[0])


LARGE = (2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63) + 1, -(2**63), NO_CODE, 10**30)
WHOLE = ["7", "+7", "-7", "8.0", "7e0", "1e3", "0", "-0", "00012", "9007199254740993.0", "7.5"]
EDGES = [str(number) for number in LARGE]
REAL = ["1.5", "-.5", "1.", "1e39", "inf", "-Infinity", "nan", "NaN", "1e-50", "0x10", "1_000"]
MARKED = ["1,5", "1.234,5", "1,234.5", "1,234,567", "1.234.567", "1 234", "1'234", "12,34,567", ","]
WORDS = ["", "NA", "NULL", "\\N", "-999", "-999.0", "true", "No", "T", "on", "ff", "F" * 16, "++1"]
ODD = ["é", "- 1", "e5", ".", "+", "a b", "1\u00a0234", "١", "1e999999999", "0" * 40 + "1"]
TOKENS = [*WHOLE, *EDGES, *REAL, *MARKED, *WORDS, *ODD]
BLANKS = st.sampled_from(["", "", "", " ", "\t", "  "])
TEXTS = st.tuples(BLANKS, st.sampled_from(TOKENS), BLANKS).map("".join)
RULES = st.fixed_dictionaries(
    {},
    optional={
        "missing": st.sampled_from([("NA",), ("NULL", "\\N", "NA"), ("-999",), ("ff", "0")]),
        "decimal": st.just(","),
        "thousands": st.sampled_from([".", " ", "'"]),
        "trim": st.just(True),
    },
)


@pytest.mark.parametrize("kind", PLAN_KINDS)
@settings(max_examples=120)
@given(texts=st.lists(TEXTS, min_size=1, max_size=4), rules=RULES)
def test_text_means_the_same_in_a_log_and_in_the_client(
    tmp_path_factory: pytest.TempPathFactory, kind: FeatureKind, texts: list[str], rules: Any
) -> None:
    if rules.get("thousands") == "." and rules.get("decimal") is None:
        rules = {**rules, "decimal": ","}
    separator = "|" if kind in ELEMENT_KINDS else None
    if separator is not None:
        texts = ["|".join(texts)]
    table = Table(
        columns={"c": kind}, header=False, separator="\x01", list_separator=separator, **rules
    )
    file = tmp_path_factory.mktemp("values") / "log"
    # With a last field, empty values do not make blank lines, which are not rows.
    file.write_text("".join(f"{text}\x01\n" for text in texts), encoding="utf-8")
    table = table.model_copy(update={"columns": {"c": kind, "other": "unused"}})
    try:
        wanted, reasons = ingested(file, table, kind)
    except DataError as error:
        assert "beside numbers from" in str(error)
        assert "beside numbers from" in scored({"c": texts}, kind, table.value_rules)[1]
        return
    given_rules = table.value_rules
    require_same(scored({"c": texts}, kind, given_rules), wanted, reasons)
    repeated = {name: np.repeat(tensor, MANY, axis=0) for name, tensor in wanted.items()}
    often = [text for text in texts for _ in range(MANY)]
    require_same(scored({"c": often}, kind, given_rules), repeated, reasons)
    require_same(scored(pl.DataFrame({"c": texts}), kind, given_rules), wanted, reasons)
    require_same(scored(pd.DataFrame({"c": texts}), kind, given_rules), wanted, reasons)
    if len(texts) == 1:
        require_same(scored({"c": texts[0]}, kind, given_rules), wanted, reasons)


DAY = datetime.date(1970, 1, 2)
MOMENT = datetime.datetime(1970, 1, 2, 3, 4, 5, 500_000)
D = Decimal
BIG = 2**63 + 5

NUMBERS: list[tuple[pa.Array, list[int | None]]] = [
    *((pa.array([3, None, 0], getattr(pa, f"{u}int{bits}")()), [3, None, 0])
      for u in ("", "u") for bits in (8, 16, 32, 64)),
    (pa.array([np.float16(3), None], pa.float16()), [3, None]),
    (pa.array([3.0, None, float("nan")], pa.float32()), [3, None, None]),
    (pa.array([3.0, None, float("nan")]), [3, None, None]),
    (pa.array([D("3"), None], pa.decimal128(38, 0)), [3, None]),
    (pa.array([D("3.00"), None], pa.decimal128(38, 2)), [3, None]),
    (pa.array([D("3.00"), None], pa.decimal256(60, 2)), [3, None]),
    (pa.array([3, 3, None]).dictionary_encode(), [3, 3, None]),
    (pa.array([3, 3], pa.run_end_encoded(pa.int32(), pa.int64())), [3, 3]),
    (pa.array([None, None], pa.null()), [None, None]),
]  # fmt: skip
TEXT_TYPES = [
    pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary(),
    pa.binary_view(), pa.binary(1), pa.dictionary(pa.int8(), pa.string()),
]  # fmt: skip


def text_of(type_: pa.DataType, texts: list[str | None]) -> pa.Array:
    is_binary = "binary" in str(type_)
    values = [None if t is None else t.encode() if is_binary else t for t in texts]
    return pa.array(values, type_)


def numbers_and_text(kind: FeatureKind) -> Iterator[tuple[pa.Array, list[Any]]]:
    yield from NUMBERS
    for type_ in TEXT_TYPES:
        yield text_of(type_, ["3", None, "0"]), [3, None, 0]
    if kind != "hex":
        yield pa.array([True, None, False]), [1, None, 0]


def times() -> Iterator[tuple[pa.Array, list[int | None]]]:
    """Times and their microseconds, before 1970 and beyond 2041 too."""
    micro = 97_445_500_000
    moments = [MOMENT, None, MOMENT - datetime.timedelta(days=9), datetime.datetime(2200, 1, 1)]
    codes = [micro, None, micro - 9 * 86_400 * 10**6, 7_258_118_400 * 10**6]
    for unit in ("ms", "us"):
        for count in (3, 4):
            yield pa.array(moments[:count], pa.timestamp(unit)), codes[:count]
    nano = pa.array([1_700_000_000_123_456_789, -1, None], pa.timestamp("ns"))
    yield nano, [1_700_000_000_123_457 - 1, -1, None]
    zoned = pa.array(moments[:3], pa.timestamp("ms", "UTC")).cast(pa.timestamp("ms", "Asia/Tokyo"))
    yield zoned, codes[:3]
    yield pa.array([DAY, None]), [86_400 * 10**6, None]
    yield pa.array([5, 1_569_888_420_000, 1_569_888_420_000_000]), [
        5_000_000, 1_569_888_420 * 10**6, 1_569_888_420 * 10**6
    ]  # fmt: skip
    yield pa.array([1.5, None, float("nan")]), [1_500_000, None, None]
    for type_ in (pa.string(), pa.large_string(), pa.binary()):
        texts = ["1970-01-02T03:04:05.5", None, "1970-01-02T05:04:05.5+02:00", "7"]
        yield text_of(type_, texts), [micro, None, micro, 7_000_000]


def cases() -> Iterator[tuple[FeatureKind, pa.Array, list[Any]]]:
    """A kind, an array, and its values on the wire; None is missing."""
    single: tuple[FeatureKind, ...] = ("continuous", "integer", "hex")
    for kind in single:
        for array, values in numbers_and_text(kind):
            yield kind, array, values
    for array, values in NUMBERS:
        if set(values) <= {0, 1, None}:
            yield "boolean", array, values
    yield "boolean", pa.array([True, None, False]), [1, None, 0]
    for array in (pa.array([1, 0, None], pa.uint8()), pa.array([1.0, 0.0, None])):
        yield "boolean", array, [1, 0, None]
    for type_ in TEXT_TYPES:
        yield "boolean", text_of(type_, ["y", None, "F"]), [1, None, 0]
        yield "string", text_of(type_, ["y", None]), [b"y", b""]
    for array, values in NUMBERS:
        yield "string", array, [b"" if v is None else str(v).encode() for v in values]
    yield "string", pa.array([True, None]), [b"true", b""]
    yield "string", pa.array([DAY, None]), [b"1970-01-02", b""]
    for unit in ("ms", "us", "ns"):
        moments = pa.array([MOMENT, None], pa.timestamp(unit))
        yield "string", moments, [b"1970-01-02T03:04:05.500", b""]
        zoned = moments.cast(pa.timestamp(unit, "UTC")).cast(pa.timestamp(unit, "Asia/Tokyo"))
        yield "string", zoned, [b"1970-01-02T03:04:05.500Z", b""]
    for array, values in times():
        yield "time", array, values
    # Without a null, with which pandas would use floats.
    yield "integer", pa.array([BIG, 7], pa.uint64()), [BIG - 2**64, 7]
    yield "hex", pa.array([BIG], pa.uint64()), [BIG - 2**64]
    yield "hex", pa.array([f"{BIG:x}"]), [BIG - 2**64]
    yield "integer", pa.array([2**63], pa.uint64()), [signed_code(2**63)]
    yield "integer", pa.array([D(2**53 + 1)], pa.decimal128(38, 0)), [2**53 + 1]
    yield "integer", pa.array([D(BIG)], pa.decimal128(38, 2)), [BIG - 2**64]
    yield "string", pa.array([BIG], pa.uint64()), [str(BIG).encode()]
    yield "continuous", pa.array([BIG], pa.uint64()), [float(np.float32(BIG))]


CASES = list(cases())


def wire_values(tensors: Tensors, kind: FeatureKind) -> list[Any]:
    (tensor,) = tensors.values()
    if kind == "continuous":
        return [None if np.isnan(v) else v for v in tensor[:, 0].tolist()]
    return [None if v == NULL_INT64 else v for v in tensor[:, 0].tolist()]


ROW_FORMATS: dict[str, Callable[[pa.Array], Any]] = {
    "arrow": lambda array: pa.table({"c": array}),
    "batch": lambda array: pa.record_batch({"c": array}),
    "chunks": lambda array: pa.table({"c": pa.chunked_array([array[:1], array[1:]])}),
    "dict": lambda array: {"c": array.to_pylist()},
    "rows": lambda array: [{"c": value} for value in array.to_pylist()],
    "polars": lambda array: pl.DataFrame({"c": pl.from_arrow(array)}),
    "pandas": lambda array: pa.table({"c": array}).to_pandas(),
}
NOT_IN_POLARS = ("decimal256", "run_end_encoded", "list_view")


@pytest.mark.parametrize("rows", ROW_FORMATS)
@pytest.mark.parametrize(
    ("kind", "array", "values"),
    CASES,
    ids=[f"{k} {a.type} {n}" for n, (k, a, _) in enumerate(CASES)],
)
def test_a_type_means_the_same_in_a_log_and_in_the_client(
    tmp_path: Path, kind: FeatureKind, array: pa.Array, values: list[Any], rows: str
) -> None:
    if any(name in str(array.type) for name in NOT_IN_POLARS) and rows in ("polars", "pandas"):
        pytest.skip(f"{rows} has no {array.type}")
    tensors, refusal = scored(ROW_FORMATS[rows](array), kind, ValueRules())
    assert tensors is not None, refusal
    assert wire_values(tensors, kind) == values
    if rows != "arrow":
        return
    file = tmp_path / "log.parquet"
    try:
        pq.write_table(pa.table({"c": array}), file)
    except (pa.ArrowException, NotImplementedError):
        return  # a type that Parquet does not have
    wanted, reasons = ingested(file, Table(format="parquet", columns={"c": kind}), kind)
    assert (wire_values(wanted, kind), reasons) == (values, [])


LIST_TYPES = [
    pa.list_,
    pa.large_list,
    lambda element: pa.list_(element, 2),
    pa.list_view,
    pa.large_list_view,
]


@pytest.mark.parametrize(
    "list_type", LIST_TYPES, ids=["list", "large", "fixed", "view", "large view"]
)
@pytest.mark.parametrize(
    ("kind", "element", "elements", "values"),
    [
        ("integer_list", pa.int32(), [3, None], [3, NULL_INT64]),
        ("integer_list", pa.float64(), [3.0, None], [3, NULL_INT64]),
        ("integer_list", pa.bool_(), [True, None], [1, NULL_INT64]),
        ("integer_list", pa.string(), ["8.0", ""], [8, NULL_INT64]),
        ("integer_list", pa.uint64(), [BIG, None], [BIG - 2**64, NULL_INT64]),
        ("integer_list", pa.decimal128(38, 0), [D(3), None], [3, NULL_INT64]),
        ("hex_list", pa.string(), [f"{BIG:x}", None], [BIG - 2**64, NULL_INT64]),
        ("string_list", pa.int64(), [3, None], [b"3", b""]),
        ("string_list", pa.binary(), [b"a", None], [b"a", b""]),
        ("string_list", pa.string_view(), ["a", None], [b"a", b""]),
        ("string_list", pa.date32(), [DAY, None], [b"1970-01-02", b""]),
    ],
)
def test_lists_of_a_type_mean_the_same(
    tmp_path: Path, kind: FeatureKind, element: Any, elements: Any, values: Any, list_type: Any
) -> None:
    array = pa.array([elements, None, elements], list_type(element))
    columns = WireColumns.of({"c": kind})
    tensors, refusal = scored(pa.table({"c": array}), kind, ValueRules())
    assert tensors is not None, refusal
    lists: Any = from_tensors(tensors, columns)["c"]
    assert lists.offsets.tolist() == [0, 2, 2, 4]
    flat = lists.values if isinstance(lists.values, np.ndarray) else lists.values.to_objects()
    assert flat.tolist() == values * 2
    file = tmp_path / "log.parquet"
    try:
        pq.write_table(pa.table({"c": array}), file)
    except (pa.ArrowException, NotImplementedError):
        return
    wanted, reasons = ingested(file, Table(format="parquet", columns={"c": kind}), kind)
    require_same((tensors, ""), wanted, reasons)


REFUSED = [
    ("continuous", pa.array([1.0, float("inf")]), "wanted a finite float32 number, found inf"),
    ("continuous", pa.array([1.0, 1e39]), "wanted a finite float32 number, found 1e+39"),
    ("continuous", pa.array([D(1), D("1e39")]), "wanted a finite float32 number, found '1000"),
    ("integer", pa.array([1.0, 1.5]), "wanted a 64-bit integer, found 1.5"),
    ("integer", pa.array([1.0, 2.0**64]), "wanted a 64-bit integer, found 1.844"),
    ("integer", pa.array([1.0, -np.inf]), "wanted a 64-bit integer, found -inf"),
    ("integer", pa.array([D(1), D("1e25")]), "wanted a 64-bit integer, found Decimal"),
    ("integer", pa.array([1, -(2**63)]), "wanted a 64-bit integer, found -9223372036854775808"),
    ("integer", pa.array([1, NO_CODE], pa.uint64()), f"found {NO_CODE}"),
    ("integer", pa.array([b"1", b"\xff"]), r"found b'\xff'"),
    ("boolean", pa.array([1, 2]), "wanted a boolean: true or false, yes or no, on or off, 1 or 0"),
    ("boolean", pa.array([1.0, 0.5]), "wanted a boolean"),
    ("hex", pa.array(["f", "0xf"]), "wanted up to 16 hexadecimal digits, found '0xf'"),
    ("string", pa.array([1.0, 1.5]), "wanted text or a whole number, found 1.5"),
    ("string", pa.array([D(1), D("1.5")]), "wanted text or a whole number, found Decimal('1.5')"),
    ("string", pa.array([b"a", b"\xff"]), r"found b'\xff'"),
    ("string_list", pa.array([[b"a"], [b"\xff"]]), "each element text or a whole number"),
    (
        "integer_list",
        pa.array([[1.0], [1.5]]),
        "a list, each element a 64-bit integer, found [1.5]",
    ),
]


@pytest.mark.parametrize(("kind", "array", "words"), REFUSED)
def test_both_refuse_a_value_with_the_same_message(
    tmp_path: Path, kind: FeatureKind, array: pa.Array, words: str
) -> None:
    file = tmp_path / "log.parquet"
    pq.write_table(pa.table({"c": array}), file)
    table = Table(format="parquet", columns={"c": kind})
    (raw,) = read_raw_rows(file, table, ["c"])
    frame, faults = convert(file, raw, {"c": kind}, Label(), table)
    assert (len(frame), [fault.line for fault in faults]) == (1, [2])
    assert words in faults[0].reason
    _, refusal = scored(pa.table({"c": array}), kind, ValueRules())
    assert words in refusal and " in row 1" in refusal


DURATION = pa.array([1], pa.duration("s"))
NO_KIND = [pa.array([1], pa.time32("s")), DURATION, pa.array([{"a": 1}])]


@pytest.mark.parametrize("kind", PLAN_KINDS)
@pytest.mark.parametrize("array", NO_KIND, ids=[str(array.type) for array in NO_KIND])
def test_types_that_no_kind_accepts_are_refused_in_one_line(
    tmp_path: Path, kind: FeatureKind, array: pa.Array
) -> None:
    _, refusal = scored(pa.table({"c": array}), kind, ValueRules())
    assert (
        refusal.startswith("Column 'c' is ") and "write it as " in refusal
    ) or "takes" in refusal
    assert "\n" not in refusal
    if array.type == DURATION.type:
        return  # Parquet has no durations
    file = tmp_path / "log.parquet"
    pq.write_table(pa.table({"c": array}), file)
    with pytest.raises(DataError, match=r"log\.parquet: column 'c' is .*, wanted "):
        ingested(file, Table(format="parquet", columns={"c": kind}), kind)


@pytest.mark.parametrize("kind", ["label", "time", "flag"])
def test_text_means_the_same_in_parquet_and_in_a_text_file(tmp_path: Path, kind: Kind) -> None:
    """The kinds that are not features, and the times that order the rows."""
    texts = ["1", "0", " 1 ", "TRUE", "false", "1.0", "", "maybe", "2019-10-01"]
    text, parquet = tmp_path / "log", tmp_path / "log.parquet"
    text.write_text("".join(f"{t},\n" for t in texts))
    pq.write_table(pa.table({"c": texts}), parquet)
    hot = {"hot": ("c",)} if kind == "flag" else {}
    tables = [
        Table(columns={"c": kind, "o": "unused"}, header=False, multi_hot=hot),
        Table(format="parquet", columns={"c": kind}, multi_hot=hot),
    ]
    results = []
    for file, table in zip((text, parquet), tables, strict=True):
        (raw,) = read_raw_rows(file, table, ["c"])
        time_column = "c" if kind == "time" else None
        frame, faults = convert(file, raw, {"c": kind}, Label(), table, time_column)
        results.append((frame.rows(), [(f.line, f.reason.split(", found")[0]) for f in faults]))
    assert results[0] == results[1]
    assert results[0][1]
