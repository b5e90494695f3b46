"""Files that tasks read are checked by tasks, and named if they have changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plumbline.base.errors import StageError
from plumbline.base.file_checks import FileChecks, ListedChecks
from plumbline.base.files import file_sha256
from plumbline.base.manifest import Manifest
from plumbline.spark.checks import checked

pytestmark = pytest.mark.timeout(900)


def stage(folder: Path) -> Manifest:
    """A stage with two files of rows."""
    folder.mkdir()
    for name in ("a", "b"):
        (folder / name).write_text(name * 1000)
    files = {name: file_sha256(folder / name) for name in ("a", "b")}
    return Manifest("ingest", {}, {}, [], {}, files, {}, 0.0)


def listed(manifest: Manifest, folder: Path) -> ListedChecks:
    checks = ListedChecks()
    manifest.check(folder, checks)
    return checks


def test_checks_are_listed_and_not_made(tmp_path: Path) -> None:
    manifest = stage(tmp_path / "ingest")
    (tmp_path / "ingest/a").write_text("other")
    with listed(manifest, tmp_path / "ingest") as checks:
        pass
    assert isinstance(checks, ListedChecks) and len(checks.listed) == 2
    with pytest.raises(StageError, match="a: wanted SHA-256"), FileChecks() as made:
        manifest.check(tmp_path / "ingest", made)


def test_files_that_are_as_they_were(session: Any, tmp_path: Path) -> None:
    checks = listed(stage(tmp_path / "ingest"), tmp_path / "ingest")
    with checked(session, checks, tmp_path):
        pass
    with pytest.raises(KeyError), checked(session, checks, tmp_path):
        raise KeyError("of the block")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda file: file.write_text("b" * 999 + "c"), "b: wanted SHA-256 .*changed after stage"),
        (lambda file: file.unlink(), "b: missing"),
    ],
)
@pytest.mark.parametrize("raises", [False, True])
def test_a_file_that_changes_while_the_block_runs(
    session: Any, tmp_path: Path, change: Callable[[Path], Any], message: str, raises: bool
) -> None:
    """It is named even if the block fails for it."""
    checks = listed(stage(tmp_path / "ingest"), tmp_path / "ingest")
    with pytest.raises(StageError, match=message), checked(session, checks, tmp_path):
        change(tmp_path / "ingest/b")
        if raises:
            raise KeyError("for it")
