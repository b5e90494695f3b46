"""A verified file is not read again until it is changed."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from plumbline.base import files, verified_files
from plumbline.base.errors import PlanError
from plumbline.base.files import map_verified, require_sha256
from plumbline.base.verified_files import VARIABLE

CONTENT = b"content" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


Verified = Callable[..., bytes]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "records").mkdir()
    monkeypatch.setenv(VARIABLE, str(tmp_path / "records"))
    monkeypatch.setattr(verified_files, "_SETTLED_SECONDS", -1.0)
    file = tmp_path / "file"
    file.write_bytes(CONTENT)
    return file


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Has an element for each file that is hashed."""
    hashed = files._sha256
    found: list[int] = []
    monkeypatch.setattr(files, "_sha256", lambda content: (found.append(1), hashed(content))[1])
    return found


def mapped(file: Path, sha256: str = SHA256) -> bytes:
    with map_verified(file, sha256, PlanError) as content:
        return content.read()


def required(file: Path, sha256: str = SHA256) -> bytes:
    require_sha256(file, sha256, PlanError)
    return file.read_bytes()


both = pytest.mark.parametrize("verified", [mapped, required])


@both
def test_it_is_hashed_once(verified: Verified, file: Path, reads: list[int]) -> None:
    assert [verified(file) for _ in range(3)] == 3 * [CONTENT]
    assert len(reads) == 1


@both
def test_another_hash_is_not_taken_for_it(verified: Verified, file: Path) -> None:
    verified(file)
    with pytest.raises(PlanError, match="wanted SHA-256"):
        verified(file, SHA256[::-1])


@pytest.mark.parametrize("change", ["written", "replaced", "times set back"])
@both
def test_a_changed_file_is_refused(verified: Verified, file: Path, change: str) -> None:
    verified(file)
    before = file.stat()
    if change == "replaced":
        other = file.with_name("other")
        other.write_bytes(CONTENT[::-1])
        other.replace(file)
    else:
        with file.open("r+b") as stream:
            stream.write(b"C")
    if change != "written":
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(PlanError, match="wanted SHA-256"):
        verified(file)


@both
def test_without_a_folder_or_too_early_it_is_hashed_again(
    verified: Verified, file: Path, reads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verified_files, "_SETTLED_SECONDS", 60.0)
    verified(file)
    verified(file)
    assert len(reads) == 2
    monkeypatch.setattr(verified_files, "_SETTLED_SECONDS", -1.0)
    verified(file)
    monkeypatch.delenv(VARIABLE)
    verified(file)
    assert len(reads) == 4


def test_a_system_that_cannot_populate_hashes(
    file: Path, reads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_MADV_POPULATE_READ", -1)
    mapped(file)
    assert mapped(file) == CONTENT
    assert len(reads) == 2
