"""File names made from column names."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from plumbline.base.file_names import file_name


@given(st.text(min_size=1, max_size=400))
def test_any_name_becomes_a_file_name(name: str) -> None:
    file = file_name(name)
    assert not set(file) & set("/\\\0*?") and not file.startswith(".")
    assert 0 < len(f"cat_stats.{file}.parquet".encode()) <= 255
    assert file_name(file) == file or "~" in file


@given(st.lists(st.text(min_size=1, max_size=200), unique=True, max_size=20))
def test_two_names_never_share_a_file(names: list[str]) -> None:
    assert len({file_name(name) for name in names}) == len(names)


def test_a_short_plain_name_is_its_file_name() -> None:
    for name in ("price", "user_id", "a.b", "Größe", "x y", "n" * 120):
        assert file_name(name) == name
    assert len(file_name("n" * 121)) < 60 and file_name("n" * 121) != file_name("n" * 122)
