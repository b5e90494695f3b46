from pathlib import Path

import pytest

from tests.conftest import Command


@pytest.mark.parametrize("out", ["file/run", "n" * 300, "file"])
def test_a_folder_that_cannot_be_made_is_one_line(
    tmp_path: Path, command: Command, out: str
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "log.csv").write_text("clicked,a\n" + "0,1\n1,2\n" * 300)
    (tmp_path / "c.yaml").write_text(
        "name: c\nlog: {columns: {clicked: label, a: integer}}\n"
        "split: {by: rows, valid: 0.2, test: 0.2}\nworkflow: {graph: standard}\n"
    )
    ended = command("pipelines/run_all.py", "--config", "c.yaml", "--data", "log.csv", "--out", out)
    assert ended.returncode == 2 and "Traceback" not in ended.stderr
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("error:")]
    assert out in line
