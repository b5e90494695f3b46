"""The harness that kills runs, without a run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import kills_place
from benchmarks.kills import FILES, Run, Tally, compare, report
from benchmarks.kills_place import Attempt, Workplace
from plumbline.base.manifest import Manifest
from plumbline.stages.run_all import STAGES

ONCE = dict.fromkeys(STAGES, 1)


def manifest(stage: str, sha256: str = "0a") -> Manifest:
    return Manifest(stage, {}, {}, [], {}, {"data": sha256}, {}, 1.0)


WHOLE = Run({stage: manifest(stage) for stage in STAGES}, frozenset({"etl/data", "run.lock"}))


def tallied(run: Run) -> dict[str, Tally]:
    tallies = {stage: Tally(kills=1, resumed=1) for stage in STAGES}
    compare(run, WHOLE, ONCE, tallies)
    return tallies


def test_equal_runs_meet_all_targets(tmp_path: Path) -> None:
    assert report(tallied(WHOLE), "plain", tmp_path / "kills.json")
    written = json.loads((tmp_path / "kills.json").read_text())
    assert all(target["met"] for target in written["targets"]) and len(written["targets"]) == 4
    assert written["notes"][0] == (
        "generate: 1 kills, 1 resumed, 1 with the same hashes, left behind: nothing"
    )


def test_another_hash_is_told() -> None:
    run = replace(WHOLE, manifests={**WHOLE.manifests, "train": manifest("train", "1b")})
    tallies = tallied(run)
    assert {stage for stage, tally in tallies.items() if not tally.same} == {"train"}
    assert not report(tallies, "plain", None)


def test_a_file_that_is_left_is_told() -> None:
    tallies = tallied(replace(WHOLE, names=WHOLE.names | {"etl/data.partial"}))
    assert tallies["etl"].left == {FILES: 1}
    assert not report(tallies, "plain", None)


def test_what_a_killed_process_leaves_is_found_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kills_place, "SHARED_MEMORY", tmp_path)
    monkeypatch.setattr(kills_place, "GRACE_SECONDS", 0.2)
    monkeypatch.setattr(kills_place, "_WARM", ())
    monkeypatch.setenv("TMPDIR", "")
    place = Workplace(tmp_path, {})
    region = f"plumbline_{'0a' * 8}_1"
    parent = (
        "import subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)', sys.argv[1]])\n"
        "print('begun', flush=True)\ntime.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", parent, region], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "begun\n"
    (tmp_path / region).touch()
    (tmp_path / "plumbline_of_others").touch()
    (Path(os.environ["TMPDIR"]) / "plumbline-x").mkdir()
    attempt = Attempt(process.pid, tmp_path / "log")
    assert place.kill(attempt, "itself")
    assert attempt.status() == -signal.SIGKILL
    left = {"processes": 1, "shared memory": 1, "temporary folders": 1}
    assert place.left_behind(with_memory=True) == left
    time.sleep(0.2)
    assert not place.left_behind(with_memory=True) and (tmp_path / "plumbline_of_others").exists()
