"""Stage etl writes the reference of drift with every engine; export takes it over, or says so."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from plumbline.features.drift.bins import IdBins
from plumbline.features.drift.reference import REFERENCE_FILE, read_reference
from plumbline.features.plan.plan import read_plan
from plumbline.stages import etl, export, ingest
from tests.stages.test_judgement import ROWS, columns_of, run_of

TRAINED = ROWS * 6 // 10


@pytest.mark.timeout(500)
@pytest.mark.parametrize("engine", ["native", "nvtabular"])
def test_the_reference_counts_the_training_rows(tmp_path: Path, engine: Any) -> None:
    columns = columns_of()
    run = run_of(tmp_path, columns, engine)
    for stage in (ingest, etl):
        finished = stage.STAGE.ensure(run, tmp_path / "run")
    assert REFERENCE_FILE in finished.manifest.files
    plan = read_plan(finished.folder / "plan")
    reference = read_reference(finished.folder / REFERENCE_FILE, plan)
    assert reference.rows == TRAINED
    found = {(one.measured.measure, one.measured.column): one for one in reference.columns}
    assert {column for measure, column in found if measure == "id"} >= {"c", "s"}
    texts, counts = np.unique(columns["s"][:TRAINED], return_counts=True)
    of_text = found["id", "s"]
    assert isinstance(of_text.bins, IdBins) and len(of_text.bins.frequent) == len(texts)
    assert of_text.counts_K[: len(texts)].tolist() == sorted(counts.tolist(), reverse=True)
    numbers = found["number", "x"]
    assert numbers.counts_K.sum() == TRAINED
    assert numbers.counts_K[:-1] == pytest.approx(TRAINED / 10, abs=8)


def test_an_etl_without_a_reference_is_exported_with_a_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []
    monkeypatch.setattr(export, "warn", said.append)
    old: Any = SimpleNamespace(manifest=SimpleNamespace(files={"plan/plan.json": "x"}))
    assert export._drift(old) is None
    (warning,) = said
    assert "no reference of drift" in warning and "--from etl" in warning
