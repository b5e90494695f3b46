"""Native and NumPy counters against collections.Counter."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plumbline.base.native import uses_native
from plumbline.columns.values import NULL_INT64, Text
from plumbline.features.statistics.counting import IntegerCounter, TextCounter

relaxed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
both_implementations = pytest.mark.usefixtures("implementation")

INT64 = st.integers(-(2**63), 2**63 - 1)


def ranked(values: list, missing: object, minimum: int, limit: int | None) -> list[tuple]:
    counted = Counter(value for value in values if value != missing)
    kept = [(value, count) for value, count in counted.items() if count >= minimum]
    return sorted(kept, key=lambda item: (-item[1], item[0]))[:limit]


@both_implementations
@relaxed
@given(
    st.lists(st.lists(st.one_of(st.integers(-3, 3), INT64, st.just(NULL_INT64))), max_size=4),
    st.integers(0, 3),
    st.none() | st.integers(0, 6),
)
def test_integers(chunks: list[list[int]], minimum: int, limit: int | None) -> None:
    counter = IntegerCounter()
    for chunk in chunks:
        counter.add(np.array(chunk, np.int64))
    every = [value for chunk in chunks for value in chunk]
    assert len(counter) == len(set(every) - {NULL_INT64})
    values, counts = counter.counts(minimum, limit)
    got = list(zip(values.tolist(), counts.tolist(), strict=True))
    assert got == ranked(every, NULL_INT64, minimum, limit)


@both_implementations
@relaxed
@given(
    st.lists(st.lists(st.binary(max_size=12) | st.sampled_from([b"a", b"a\0", b"b"])), max_size=4),
    st.integers(0, 3),
    st.none() | st.integers(0, 6),
)
def test_text(chunks: list[list[bytes]], minimum: int, limit: int | None) -> None:
    counter = TextCounter()
    for chunk in chunks:
        counter.add(Text.from_objects(chunk))
    every = [value for chunk in chunks for value in chunk]
    assert len(counter) == len(set(every) - {b""})
    text, counts = counter.counts(minimum, limit)
    got = list(zip(text.to_objects().tolist(), counts.tolist(), strict=True))
    assert got == ranked(every, b"", minimum, limit)


@both_implementations
def test_tables_grow() -> None:
    values = np.random.default_rng(0).integers(0, 60_000, 200_000) * 2**40
    counter, text_counter = IntegerCounter(), TextCounter()
    for chunk in np.array_split(values, 7):
        counter.add(chunk)
        text_counter.add(Text.from_objects([b"%d" % value for value in chunk]))
    counted, counts = counter.counts()
    wanted, wanted_counts = np.unique(values, return_counts=True)
    order = np.lexsort((wanted, -wanted_counts))
    assert np.array_equal(counted, wanted[order])
    assert np.array_equal(counts, wanted_counts[order])
    text, counts = text_counter.counts(minimum=3)
    assert len(text_counter) == len(wanted)
    assert sorted(map(int, text.to_objects())) == wanted[wanted_counts >= 3].tolist()
    assert np.array_equal(counts, np.sort(counts)[::-1])


@both_implementations
def test_counts_above_the_number_of_groups() -> None:
    often = np.concatenate([np.full(70_000, 9), np.full(70_000, 4), np.full(90_000, 5), [1, 1, 0]])
    counter = IntegerCounter()
    counter.add(often)
    counted, counts = counter.counts()
    assert counted.tolist() == [5, 4, 9, 1, 0]
    assert counts.tolist() == [90_000, 70_000, 70_000, 2, 1]
    assert counter.counts(2, 3)[0].tolist() == [5, 4, 9]


@both_implementations
def test_values_of_equal_count_ascend() -> None:
    values = np.random.default_rng(1).permutation(np.arange(-5_000, 5_000) * 2**50)
    counter = IntegerCounter()
    counter.add(values)
    assert np.array_equal(counter.counts(limit=4_000)[0], np.sort(values)[:4_000])


@both_implementations
def test_strided_values() -> None:
    counter = IntegerCounter()
    counter.add(np.arange(12).reshape(6, 2)[:, 1])
    assert counter.counts()[0].tolist() == [1, 3, 5, 7, 9, 11]


@both_implementations
def test_another_dtype_is_refused() -> None:
    with pytest.raises(TypeError, match="values: wanted int64 of 1 dimension"):
        IntegerCounter().add(np.zeros(3, np.float64))


@pytest.mark.skipif(not uses_native(), reason="plumbline._native is not in use")
def test_offsets_outside_the_data_are_refused() -> None:
    for offsets in ([0, 5], [2, 1], [-1, 1]):
        with pytest.raises(ValueError, match="ascending offsets within the data"):
            TextCounter().add(Text(np.array(offsets), np.zeros(3, np.uint8)))


@both_implementations
@relaxed
@given(st.dictionaries(INT64, st.integers(0, 3)), st.lists(st.integers(-3, 3)))
def test_counted_integers_are_added(counted: dict[int, int], added: list[int]) -> None:
    counter = IntegerCounter()
    values = np.array([*counted], np.int64)
    counter.add_counted(values, np.array([*counted.values()], np.int64))
    counter.add(np.array(added, np.int64))
    every = [value for value, count in counted.items() for _ in range(count)] + added
    got = list(zip(*(array.tolist() for array in counter.counts()), strict=True))
    assert got == ranked(every, NULL_INT64, 1, None)


@both_implementations
@relaxed
@given(st.dictionaries(st.binary(max_size=9), st.integers(0, 3)), st.lists(st.just(b"a")))
def test_counted_text_is_added(counted: dict[bytes, int], added: list[bytes]) -> None:
    counter = TextCounter()
    counter.add_counted(Text.from_objects([*counted]), np.array([*counted.values()], np.int64))
    counter.add(Text.from_objects(added))
    every = [value for value, count in counted.items() for _ in range(count)] + added
    text, counts = counter.counts()
    got = list(zip(text.to_objects().tolist(), counts.tolist(), strict=True))
    assert got == ranked(every, b"", 1, None)


@pytest.mark.skipif(not uses_native(), reason="plumbline._native is not in use")
def test_as_many_counts_as_values() -> None:
    with pytest.raises(ValueError, match="counts: wanted 2 elements, got 1"):
        IntegerCounter().add_counted(np.arange(2), np.ones(1, np.int64))
    with pytest.raises(ValueError, match="counts: wanted 1 elements, got 2"):
        TextCounter().add_counted(Text.from_objects([b"a"]), np.ones(2, np.int64))
