"""What `--engine spark` says where pyspark or Java are missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from plumbline.spark import missing_spark
from tests.conftest import Command


@pytest.fixture
def with_pyspark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(missing_spark, "find_spec", lambda name: name)


def java(home: Path, version: str) -> Path:
    """A Java that tells this version."""
    program = home / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho '{version}' >&2\n")
    program.chmod(0o755)
    return home


def told(what: str) -> str:
    missing = missing_spark.missing_spark()
    assert missing is not None and what in missing.what
    return missing.remedy


def test_no_pyspark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(missing_spark, "find_spec", lambda name: None)
    assert told("pyspark is not installed") == "Install it with `make env SPARK=1`"


def test_no_java(with_pyspark: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "openjdk-17-jre-headless" in told("there is no program `java`")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert "JAVA_HOME" in told("there is no program `java`")


@pytest.mark.parametrize(
    ("version", "fits"),
    [
        ('openjdk version "17.0.13" 2024-10-15', True),
        ('java version "1.8.0_392"', True),
        ('openjdk version "11.0.2" 2019-01-15', True),
        ('openjdk version "25" 2025-09-16 LTS', False),
        ("nothing", False),
    ],
)
def test_versions_of_java(
    with_pyspark: None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    version: str,
    fits: bool,
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(java(tmp_path, version)))
    if fits:
        assert missing_spark.missing_spark() is None
    else:
        told("Spark 3.5 needs Java 8, 11 or 17, and ")


def test_the_command_ends_with_status_2(
    command: Command, with_pyspark: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(java(tmp_path, 'openjdk version "25.0.1"')))
    ended = command("plumbline/__main__.py", "run", "--engine", "spark")
    assert ended.returncode == 2
    assert ended.stderr == (
        f"error: --engine spark: Spark 3.5 needs Java 8, 11 or 17, and {tmp_path}/bin/java is "
        "Java 25. Install Java 17, such as the package openjdk-17-jre-headless, or name its folder "
        "in JAVA_HOME, or use --engine native.\n"
    )
    assert not (tmp_path / "runs").exists()
