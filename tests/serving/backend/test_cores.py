"""A container's limit counts if it is lower than the number of cores."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from plumbline.serving.backend import cores
from plumbline.serving.backend.served_version import threads_of

COUNT = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ("max 100000\n", COUNT),
        ("100000 100000\n", 1),
        ("150000 100000\n", 1),
        ("20000 100000\n", 1),
        ("6400000 100000\n", COUNT),
        ("", COUNT),
    ],
)
def test_the_quota_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, wanted: int
) -> None:
    (tmp_path / "cpu.max").write_text(content)
    monkeypatch.setattr(cores, "QUOTA_FILE", tmp_path / "cpu.max")
    assert cores.cores() == wanted
    assert threads_of("", 1) == wanted
    assert threads_of("", 1000) == 1


def test_without_control_groups_it_is_the_affinity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cores, "QUOTA_FILE", tmp_path / "none")
    assert cores.cores() == COUNT
