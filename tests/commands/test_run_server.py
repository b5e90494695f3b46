"""`plumbline server`: a server that does not start leaves no temporary folder behind."""

import tempfile
from pathlib import Path

import pytest

from tests.conftest import Command
from tests.serving.releases import ROWS, SETTINGS, export_repository, model_of, write_small_plan


@pytest.mark.parametrize("refused", ["repository", "host"])
def test_no_folder_without_a_log(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    plan = write_small_plan(tmp_path / "plan", ["Oslo"])
    model = model_of(plan, tmp_path / "model", 1)
    repository = export_repository(plan, model, tmp_path / "out", SETTINGS, ROWS)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    if refused == "repository":
        (repository / "ctr" / "config.pbtxt").write_text("changed")
    host = "192.0.2.1" if refused == "host" else "127.0.0.1"
    ended = command("serving/server.py", repository, "--host", host)
    message = "192.0.2.1 cannot be used" if refused == "host" else "config.pbtxt"
    assert ended.returncode == 2 and message in ended.stderr
    assert not list(temporary.iterdir())
