"""Native and NumPy index files have the same bytes and positions."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plumbline.base.errors import PlanError
from plumbline.base.native import SETTING, uses_native
from plumbline.columns.values import NULL_INT64, Text
from plumbline.features.lookup.index import (
    IntegerIndex,
    TextIndex,
    build_integer_index,
    build_text_index,
    open_index,
)
from plumbline.features.lookup.index_file import HEADER

relaxed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
both_implementations = pytest.mark.usefixtures("implementation")
needs_native = pytest.mark.skipif(not uses_native(), reason="plumbline._native is not in use")

PRESENT = st.integers(NULL_INT64 + 1, 2**63 - 1) | st.integers(-5, 40)


@both_implementations
@relaxed
@given(st.lists(PRESENT, unique=True, max_size=60), st.lists(PRESENT | st.just(NULL_INT64)))
def test_integers(tmp_path: Path, values: list[int], others: list[int]) -> None:
    build_integer_index(tmp_path / "index", np.array(values, np.int64))
    index = IntegerIndex.open(tmp_path / "index")
    assert len(index) == len(values)
    queries = values[::-1] + others
    wanted = [values.index(value) if value in values else -1 for value in queries]
    assert index.positions(np.array(queries, np.int64)).tolist() == wanted


@both_implementations
@relaxed
@given(
    st.lists(st.binary(min_size=1, max_size=20), unique=True, max_size=60),
    st.lists(st.binary(max_size=20)),
)
def test_text(tmp_path: Path, values: list[bytes], others: list[bytes]) -> None:
    build_text_index(tmp_path / "index", Text.from_objects(values))
    index = TextIndex.open(tmp_path / "index")
    assert len(index) == len(values)
    queries = values[::-1] + others
    wanted = [values.index(value) if value in values else -1 for value in queries]
    assert index.positions(Text.from_objects(queries)).tolist() == wanted


@needs_native
@pytest.mark.parametrize("size", [0, 1, 7, 5_000])
def test_both_implementations_write_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    values = np.random.default_rng(size).permutation(np.arange(size) * 2**30 - 1000)
    text = Text.from_objects([b"x" * (value % 30) + b"%d" % value for value in values])
    for setting in "10":
        monkeypatch.setenv(SETTING, setting)
        build_integer_index(tmp_path / f"integers{setting}", values)
        build_text_index(tmp_path / f"text{setting}", text)
    for kind in ("integers", "text"):
        native_bytes, numpy_bytes = ((tmp_path / f"{kind}{s}").read_bytes() for s in "10")
        assert native_bytes == numpy_bytes


@both_implementations
def test_many(tmp_path: Path) -> None:
    values = np.random.default_rng(0).permutation(100_000) * 3 + 7
    build_integer_index(tmp_path / "integers", values)
    queries = np.arange(300_100)
    wanted = np.full(len(queries), -1)
    wanted[values] = np.arange(len(values))
    assert np.array_equal(IntegerIndex.open(tmp_path / "integers").positions(queries), wanted)
    strings = Text.from_objects([b"%x" % value for value in values])
    build_text_index(tmp_path / "text", strings)
    positions = TextIndex.open(tmp_path / "text").positions(
        Text.from_objects([b"%x" % value for value in queries.tolist()])
    )
    assert np.array_equal(positions, wanted)


@both_implementations
def test_strings_with_equal_hashes(tmp_path: Path) -> None:
    # The hash applies x -> mix(x ^ w) to each word w, so the second word can cancel the first.
    multiplier, modulus = 0xD1342543DE82EF95, 2**64
    start = 16 * 0x9E3779B97F4A7C15 % modulus

    def after_first(word: int) -> int:
        mixed = (start ^ word) * multiplier % modulus
        return mixed ^ mixed >> 32

    one = [17, 99]
    other = [18, after_first(17) ^ after_first(18) ^ 99]
    values = [b"".join(word.to_bytes(8, "little") for word in words) for words in (one, other)]
    build_text_index(tmp_path / "index", Text.from_objects([b"before", *values]))
    index = TextIndex.open(tmp_path / "index")
    assert index.positions(Text.from_objects([*values, b"before"])).tolist() == [1, 2, 0]


@both_implementations
def test_strided_values(tmp_path: Path) -> None:
    table = np.arange(12).reshape(6, 2)
    build_integer_index(tmp_path / "index", table[:, 1])
    positions = IntegerIndex.open(tmp_path / "index").positions(table[::-1, 1])
    assert positions.tolist() == [5, 4, 3, 2, 1, 0]
    text = Text.from_objects([b"zz", b"a", b"bcd"])
    build_text_index(tmp_path / "text", Text(text.offsets[1:], text.data))
    assert TextIndex.open(tmp_path / "text").positions(text).tolist() == [-1, 0, 1]


@both_implementations
@pytest.mark.parametrize(
    ("values", "problem"), [([1, 5, 1], "distinct values"), ([1, NULL_INT64], "missing .* at 1")]
)
def test_repeated_and_missing_values_are_refused(
    tmp_path: Path, values: list[int], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        build_integer_index(tmp_path / "index", np.array(values))
    names = Text.from_objects([b"" if value == NULL_INT64 else b"%d" % value for value in values])
    with pytest.raises(ValueError, match=problem):
        build_text_index(tmp_path / "index", names)
    assert not (tmp_path / "index").exists()


@both_implementations
def test_the_kind_is_read_from_the_file(tmp_path: Path) -> None:
    build_integer_index(tmp_path / "integers", np.array([1]))
    build_text_index(tmp_path / "text", Text.from_objects([b"1"]))
    assert isinstance(open_index(tmp_path / "integers"), IntegerIndex)
    assert isinstance(open_index(tmp_path / "text"), TextIndex)
    with pytest.raises(PlanError, match="wanted an index of text, got one of integers"):
        TextIndex.open(tmp_path / "integers")
    with pytest.raises(PlanError, match="wanted an index of integers, got one of text"):
        IntegerIndex.open(tmp_path / "text")


@both_implementations
def test_damaged_files_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "index"
    with pytest.raises(PlanError, match="missing from the feature plan"):
        IntegerIndex.open(file)
    build_integer_index(file, np.arange(100))
    whole = file.read_bytes()
    file.write_bytes(whole[:-64])
    with pytest.raises(PlanError, match=f"says {len(whole)} bytes, it has {len(whole) - 64}"):
        IntegerIndex.open(file)
    file.write_bytes(b"PAR1" + whole[4:])
    with pytest.raises(PlanError, match="begins with PLUMBIDX"):
        IntegerIndex.open(file)
    _, _, *rest = HEADER.unpack(whole[: HEADER.size])
    file.write_bytes(HEADER.pack(b"PLUMBIDX", 2, *rest) + whole[HEADER.size :])
    with pytest.raises(PlanError, match="format version 2, but this Plumbline reads 1"):
        IntegerIndex.open(file)
