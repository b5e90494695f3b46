"""What `auto` and the kernels take, from given times; and that the measured work runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from plumbline.base.fastest import Times
from plumbline.dlrm.ops.instruction_sets import candidates
from plumbline.dlrm.ops.interaction import speed as interaction_speed
from plumbline.dlrm.ops.interaction.speed import interaction_set, interaction_times
from plumbline.dlrm.ops.library import cpu_module
from plumbline.dlrm.ops.scoring import precision as scoring_precision_module
from plumbline.dlrm.ops.scoring import speed as scoring_speed
from plumbline.dlrm.ops.scoring.precision import scoring_precision
from plumbline.dlrm.ops.scoring.speed import fastest_precision, scoring_set, scoring_times
from plumbline.dlrm.train import precision as training_precision_module
from plumbline.dlrm.train import speed as products_speed
from plumbline.dlrm.train.precision import training_precision

SETS = ["plain", "avx2", "avx512", "avx512bf16"]
MODULE: Any = SimpleNamespace(instruction_sets=lambda: SETS, __file__=None)

WITH_SLOW_BF16 = {
    "fp32 avx2": 9.0, "fp32 avx512": 5.0, "fp32 avx512bf16": 5.1,
    "bf16 avx2": 9.9, "bf16 avx512": 6.0, "bf16 avx512bf16": 7.7,
}  # fmt: skip
"""In the proportion of a processor with AMX, 2026-11-29."""
WITH_FAST_BF16 = WITH_SLOW_BF16 | {"bf16 avx512bf16": 2.0}


@pytest.fixture
def given_times(monkeypatch: pytest.MonkeyPatch) -> Callable[[Times], None]:
    def give(times: Times) -> None:
        def times_of(work: str, build: object, ways: list[str], *_: object) -> Times:
            return {way: times[way] for way in ways}

        for module in (scoring_speed, interaction_speed, products_speed):
            monkeypatch.setattr(module, "times_of", times_of)
        for user in (scoring_precision_module, training_precision_module):
            monkeypatch.setattr(user, "has_bfloat16", lambda: True)
        monkeypatch.setattr(scoring_precision_module, "cpu_module", lambda: MODULE)

    return give


def test_slow_bf16_is_not_taken(given_times: Callable[[Times], None]) -> None:
    given_times(WITH_SLOW_BF16 | {"fp32": 2.0, "bf16": 1.9})
    assert scoring_precision("auto") == "fp32"
    assert training_precision("auto", "cpu") == "fp32"
    assert scoring_set(MODULE, "bf16") == "avx512"
    assert scoring_set(MODULE, "fp32") == "avx512bf16"


def test_fast_bf16_is_taken(given_times: Callable[[Times], None]) -> None:
    given_times(WITH_FAST_BF16 | {"fp32": 2.0, "bf16": 0.7})
    assert scoring_precision("auto") == fastest_precision(MODULE) == "bf16"
    assert training_precision("auto", "cpu") == "bf16"
    assert scoring_set(MODULE, "bf16") == "avx512bf16"


def test_the_interaction_takes_the_faster_set(given_times: Callable[[Times], None]) -> None:
    given_times({"avx2": 3.0, "avx512": 1.0, "avx512bf16": 1.3})
    assert interaction_set(MODULE, "bf16") == "avx512"
    given_times({"avx2": 1.0, "avx512": 1.0, "avx512bf16": 1.05})
    assert interaction_set(MODULE, "bf16") == "avx512bf16"


def test_what_the_user_sets_is_taken(given_times: Callable[[Times], None]) -> None:
    given_times({})
    assert scoring_precision("bf16") == training_precision("bf16", "cpu") == "bf16"
    assert scoring_precision("fp32") == training_precision("fp32", "cpu") == "fp32"


def test_nothing_is_measured_where_there_is_no_choice(
    given_times: Callable[[Times], None],
) -> None:
    given_times({})
    one: Any = SimpleNamespace(instruction_sets=lambda: ["plain", "avx2"], __file__=None)
    none: Any = SimpleNamespace(instruction_sets=lambda: ["plain"], __file__=None)
    for module, wanted in ((one, "avx2"), (none, "plain")):
        assert scoring_set(module, "fp32") == interaction_set(module, "bf16") == wanted
    assert scoring_set(MODULE, "int8") == "avx512bf16"


def test_the_measured_work_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = cpu_module()
    if module is None:
        pytest.skip("needs the native kernels")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    sets = candidates(module)
    assert scoring_times(module).keys() == {f"{p} {s}" for p in ("fp32", "bf16") for s in sets}
    for precision in ("fp32", "bf16", "fp16"):
        assert interaction_times(module, precision).keys() == {*sets}
    assert scoring_set(module, "fp32") in sets
    assert interaction_set(module, "fp32") in sets
