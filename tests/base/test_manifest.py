import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from plumbline.base.errors import StageError
from plumbline.base.files import write_json
from plumbline.base.manifest import Manifest, differences, hash_files


def manifest(**changes: object) -> Manifest:
    content = {
        "stage": "etl",
        "settings": {"engine": "nvtabular"},
        "inputs": {"ingest": "abc"},
        "schema": [{"name": "C1", "dtype": "int64", "cardinality": 10}],
        "rows": {"train": 3},
        "files": {},
        "versions": {"numpy": "1.26.4"},
        "seconds": 1.5,
        "facts": {"rate": 2},
    }
    return Manifest(**{**content, **changes})  # type: ignore[arg-type]


def test_reads_back_what_was_written(tmp_path: Path) -> None:
    manifest().write(tmp_path)
    assert Manifest.read(tmp_path) == manifest()


def test_the_hash_is_of_the_output_not_of_the_time() -> None:
    assert manifest(seconds=9.0, versions={}, facts={}).hash == manifest().hash
    assert manifest(rows={"train": 4}).hash != manifest().hash


def test_a_missing_manifest_means_the_stage_is_not_complete(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"manifest\.json: missing, so the stage is not complete"):
        Manifest.read(tmp_path)


@pytest.mark.parametrize(
    "content", [[], None, 3, {"format_version": 2}, {"format_version": "x"}, {"format_version": {}}]
)
def test_a_damaged_manifest_is_named(tmp_path: Path, content: object) -> None:
    write_json(tmp_path / "manifest.json", content)
    with pytest.raises(StageError, match=r"manifest\.json: not a stage manifest"):
        Manifest.read(tmp_path)


@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100_000, '{"format_version": 1e999}', '{"seconds": NaN}', "\udcff"]
)
def test_what_is_no_json_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(StageError, match=r"manifest\.json: not a stage manifest"):
        Manifest.read(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": {"train": "3"}},
        {"files": []},
        {"facts": {}},
        {"seconds": 9},
        {"more": 1},
        {"files": None},
    ],
)
def test_an_edited_manifest_is_named(tmp_path: Path, changes: dict[str, object]) -> None:
    manifest().write(tmp_path)
    content = json.loads((tmp_path / "manifest.json").read_text())
    write_json(tmp_path / "manifest.json", {**content, **changes})
    with pytest.raises(StageError, match=r"manifest\.json: not a stage manifest: it was changed"):
        Manifest.read(tmp_path)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["folder", "pipe"])
def test_a_manifest_that_is_no_file_is_named(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "manifest.json")
    with pytest.raises(StageError, match=r"manifest\.json: not a stage manifest"):
        Manifest.read(tmp_path)


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    manifest(format_version=99).write(tmp_path)
    with pytest.raises(StageError, match="format version 99, but this Plumbline reads 2"):
        Manifest.read(tmp_path)


def test_verify_names_the_file_that_changed(tmp_path: Path) -> None:
    file = tmp_path / "train" / "part.parquet"
    file.parent.mkdir()
    file.write_bytes(b"one")
    written = manifest(files=hash_files(tmp_path, [file]))
    written.verify(tmp_path)
    file.write_bytes(b"two")
    with pytest.raises(StageError, match=r"part\.parquet: wanted SHA-256 .* found"):
        written.verify(tmp_path)
    file.unlink()
    with pytest.raises(StageError, match=r"part\.parquet: missing"):
        written.verify(tmp_path)


def test_a_file_that_was_added_is_named(tmp_path: Path) -> None:
    written = manifest(files={})
    written.write(tmp_path)
    written.verify(tmp_path)
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "part-00001.parquet").write_bytes(b"more")
    with pytest.raises(StageError, match=r"part-00001\.parquet: not a file that stage 'etl' wrote"):
        written.verify(tmp_path)


def test_differences_name_keys_on_either_side() -> None:
    assert differences({"a": 1, "b": {"c": 2}}, {"b": {"c": 3}, "d": 4}) == [
        "a: was 1, is null",
        "b.c: was 2, is 3",
        "d: was null, is 4",
    ]
