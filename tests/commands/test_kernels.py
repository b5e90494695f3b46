"""`plumbline kernels` prints what `auto` takes."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from plumbline.cli import app
from plumbline.dlrm.ops.scoring.precision import scoring_precision
from plumbline.dlrm.train.precision import training_precision
from plumbline.stages.machine import Machine


@pytest.mark.parametrize("native", ["1", "0"])
def test_the_choices_are_printed(
    native: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PLUMBLINE_NATIVE", native)
    ended = CliRunner().invoke(app, ["kernels"])
    assert ended.exit_code == 0, ended.output
    printed = dict(line.split("  ", 1) for line in ended.output.splitlines())
    values = {name: value.strip() for name, value in printed.items()}
    assert values["serving.precision auto"] == scoring_precision("auto")
    assert values["training.precision auto"] == training_precision("auto", "cpu")
    missing = Machine().missing_for_gpu()
    assert values["gpu"] == ("used" if missing is None else f"not used: {missing.what}")
    assert values["kept in"] == str(tmp_path / "plumbline")
