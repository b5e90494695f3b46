from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from plumbline.base import console, file_checks
from plumbline.base.errors import PlanError
from plumbline.base.file_checks import FileChecks, hashed_beside

SHA256 = hashlib.sha256(b"one").hexdigest()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "a").write_bytes(b"one")
    return tmp_path / "a"


def test_a_file_as_it_was_passes(file: Path) -> None:
    with FileChecks() as checks:
        checks.add(file, SHA256, PlanError)
        checks.add(file, SHA256, PlanError)


def test_hashing_of_many_bytes_shows_its_progress(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line without a terminal; files that were hashed before the end are not counted."""
    monkeypatch.setattr(console, "SHOWN_BYTES", 1 << 20)
    hashed = threading.Event()

    def slowly(*arguments: object) -> None:
        hashed.wait()

    monkeypatch.setattr(file_checks, "require_sha256", slowly)
    file.write_bytes(bytes(3 << 20))
    with FileChecks() as checks:
        checks.add(file, SHA256, PlanError)
        threading.Timer(0.2, hashed.set).start()
    assert "hashing: 3 MiB in " in capsys.readouterr().err


def test_a_missing_file_is_named_at_once(file: Path) -> None:
    with FileChecks() as checks, pytest.raises(PlanError, match="b: missing"):
        checks.add(file.with_name("b"), SHA256, PlanError)


def replace(file: Path) -> None:
    file.with_name("b").write_bytes(b"two")
    file.with_name("b").replace(file)


def write(file: Path) -> None:
    times = file.stat()
    file.write_bytes(b"two")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.parametrize("edit", [replace, write, Path.unlink])
@pytest.mark.parametrize("error", [None, ValueError("what it led to")])
def test_a_change_after_the_hash_is_seen(
    file: Path, edit: Callable[[Path], None], error: Exception | None
) -> None:
    with pytest.raises(PlanError, match=r"a: (wanted SHA-256|missing)"), FileChecks() as checks:
        checks.add(file, SHA256, PlanError)
        checks._checks[file].hashed.result()
        edit(file)
        if error is not None:
            raise error


def test_a_link_that_was_made_meanwhile_is_no_change(file: Path) -> None:
    with FileChecks() as checks:
        checks.add(file, SHA256, PlanError)
        checks._checks[file].hashed.result()
        file.with_name("b").hardlink_to(file)


def test_hashes_are_there_at_the_end_of_the_block(file: Path) -> None:
    with hashed_beside([file]) as hashes:
        assert not hashes
    assert hashes == {file: SHA256}


def test_an_error_in_the_block_does_not_wait_for_hashes(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, hashed = threading.Event(), threading.Event(), list[Path]()

    def slow(one: Path) -> str:
        begun.set()
        go_on.wait()
        hashed.append(one)
        return SHA256

    monkeypatch.setattr(file_checks, "file_sha256", slow)
    with pytest.raises(ValueError, match="malformed"), hashed_beside([file, Path("b"), Path("c")]):
        begun.wait()
        raise ValueError("malformed")
    assert not hashed
    go_on.set()
