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


@pytest.mark.parametrize("content", [[], {"format_version": 1}, {"format_version": "x"}])
def test_a_damaged_manifest_is_named(tmp_path: Path, content: object) -> None:
    write_json(tmp_path / "manifest.json", content)
    with pytest.raises(StageError, match=r"manifest\.json: not a stage manifest"):
        Manifest.read(tmp_path)


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    manifest(format_version=99).write(tmp_path)
    with pytest.raises(StageError, match="format version 99, but this Plumbline reads 1"):
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


def test_differences_name_keys_on_either_side() -> None:
    assert differences({"a": 1, "b": {"c": 2}}, {"b": {"c": 3}, "d": 4}) == [
        "a: was 1, is null",
        "b.c: was 2, is 3",
        "d: was null, is 4",
    ]
