from __future__ import annotations

from pathlib import Path

import pytest

from plumbline.settings import Config
from plumbline.stages.ingest import work
from plumbline.stages.run import Run


def run_of(file: Path) -> Run:
    config = Config.model_validate(
        {
            "name": "tiny",
            "log": {"columns": {"y": "label", "x": "continuous", "z": "unused"}},
            "split": {"by": "rows", "valid": 0.2, "test": 0.2},
            "workflow": {"graph": "standard"},
        }
    )
    return Run(config, (file,), "native", "fused", "cpu", None)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ([], ""),
        (["a [b]"], "1 column is not in log.columns and left out: a [b]"),
        (
            [f"c{i}" for i in range(12)],
            "12 columns are not in log.columns and left out: c0, c1, c2, c3, c4, c5, c6, c7 and 4",
        ),
    ],
)
def test_columns_that_are_left_out_are_reported_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    file = tmp_path / "log.csv"
    header = ",".join(["y", "x", "z", *more])
    lines = "".join(f"{i % 2},{i},{',' * len(more)}\n" for i in range(40))
    file.write_text(f"{header}\n{lines}")
    result = work(run_of(file), {}, tmp_path)
    assert result.rows["train"] == 24
    err = capsys.readouterr().err
    assert err.count("left out") == (1 if more else 0)
    assert message in err
