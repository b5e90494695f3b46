"""The choice of the fastest way: never a slow one, the same each time, kept for later processes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline.base import fastest
from plumbline.base.fastest import MARGIN, ROUNDS, cache_folder, measured, preferred, times_of

SECONDS = {"wide": 0.002, "narrow": 0.001}


class Machine:
    """Calls that take a known time, by a clock that only they advance."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self.seconds, self.now, self.calls = seconds, 0.0, []  # type: ignore[var-annotated]

    def prepare(self, way: str) -> Callable[[], None]:
        def call() -> None:
            self.calls.append(way)
            slowed = 3.0 if len(self.calls) % 5 == 0 else 1.0  # another process interferes
            self.now += slowed * self.seconds[way]

        return call

    def clock(self) -> float:
        return self.now

    def times(self, **other: Any) -> fastest.Times:
        """In a new process."""
        fastest._measured.clear()
        arguments: dict[str, Any] = {"build": {"version": "1"}, "ways": [*self.seconds]}
        return times_of("work", **arguments | other, prepare=self.prepare, clock=self.clock)


@pytest.fixture(autouse=True)
def _no_times_of_other_tests() -> Iterator[None]:
    fastest._measured.clear()
    yield
    fastest._measured.clear()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "plumbline"


@given(st.dictionaries(st.text(max_size=3), st.floats(0.01, 100), min_size=1, max_size=6))
def test_no_clearly_slower_way_is_chosen(times: dict[str, float]) -> None:
    chosen = preferred(times, [*times])
    assert times[chosen] <= MARGIN * min(times.values())


@given(st.lists(st.floats(1.0, 1.09), min_size=3, max_size=3))
def test_noise_and_ties_go_to_the_first(times: list[float]) -> None:
    assert preferred(dict(zip("abc", times, strict=True)), ["b", "c", "a"]) == "b"


def test_calls_take_turns_and_the_best_of_each_counts() -> None:
    machine = Machine(SECONDS)
    times = measured({way: machine.prepare(way) for way in SECONDS}, machine.clock)
    assert times == pytest.approx({"wide": 2.0, "narrow": 1.0})
    assert machine.calls == ["wide", "narrow"] * (1 + ROUNDS)


def test_later_processes_do_not_measure(folder: Path) -> None:
    machine, later = Machine(SECONDS), Machine({"wide": 1.0, "narrow": 9.0})
    assert machine.times() == later.times()
    assert machine.calls and not later.calls
    (file,) = folder.iterdir()
    assert json.loads(file.read_text())["milliseconds"] == machine.times()


@pytest.mark.parametrize(
    "other", [{"build": {"version": "2"}}, {"ways": ["narrow"]}], ids=["build", "ways"]
)
def test_another_build_or_way_is_measured(folder: Path, other: dict[str, Any]) -> None:
    machine = Machine(SECONDS)
    machine.times()
    before = len(machine.calls)
    machine.times(**other)
    assert len(machine.calls) > before
    assert len([*folder.iterdir()]) == 2


def test_another_processor_is_measured(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(SECONDS)
    machine.times()
    monkeypatch.setattr(fastest, "processor", lambda: {"model": "another"})
    machine.times()
    assert len(machine.calls) == 4 * (1 + ROUNDS)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"milliseconds": {"wide": 1, "narrow": 1}}',
        b"0" * 9000,
        b"[" * 100_000,
    ],
)
def test_a_damaged_cache_is_measured_again(folder: Path, content: bytes) -> None:
    machine = Machine(SECONDS)
    wanted = machine.times()
    (file,) = folder.iterdir()
    file.write_bytes(content)
    assert machine.times() == pytest.approx(wanted)
    unread = Machine(SECONDS)
    assert unread.times() == pytest.approx(wanted)
    assert not unread.calls


@pytest.mark.parametrize("ms", [-1.0, 0.0, float("nan"), float("inf"), "fast", None])
def test_times_that_cannot_be_are_measured_again(folder: Path, ms: object) -> None:
    machine = Machine(SECONDS)
    machine.times()
    (file,) = folder.iterdir()
    content = json.loads(file.read_text())
    content["milliseconds"]["wide"] = ms
    file.write_text(json.dumps(content))
    assert machine.times() == pytest.approx({"wide": 2.0, "narrow": 1.0})


def test_the_first_of_two_processes_decides(folder: Path) -> None:
    first, second = Machine(SECONDS), Machine({"wide": 0.001, "narrow": 0.002})

    def prepare(way: str) -> Callable[[], None]:
        if way == "wide":  # the other process ends its measurement meanwhile
            kept.update(first.times())
        return second.prepare(way)

    kept: dict[str, float] = {}
    got = times_of("work", {"version": "1"}, [*SECONDS], prepare, second.clock)
    assert second.calls
    assert got == kept == pytest.approx({"wide": 2.0, "narrow": 1.0})


def test_without_a_writable_folder_each_process_measures_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    machine = Machine(SECONDS)
    assert machine.times() == pytest.approx({"wide": 2.0, "narrow": 1.0})
    before = len(machine.calls)
    times_of("work", {"version": "1"}, [*SECONDS], machine.prepare, machine.clock)
    assert len(machine.calls) == before


def test_a_user_without_a_home_has_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() is None
    assert Machine(SECONDS).times() == pytest.approx({"wide": 2.0, "narrow": 1.0})
