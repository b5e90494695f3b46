"""A small configuration and its log, for tests to change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from plumbline.rawlogs.ingest import Ingested, ingest_typed
from plumbline.settings import Config

MakeConfig = Callable[..., Config]
Ingest = Callable[..., Ingested]


@pytest.fixture
def make_config() -> MakeConfig:
    """A configuration of columns clicked, price, shop, hash, word; keywords replace its keys."""

    def make(log: dict[str, Any] | None = None, **changes: Any) -> Config:
        columns = {
            "clicked": "label",
            "price": "continuous",
            "shop": "integer",
            "hash": "hex",
            "word": "string",
        }
        settings: dict[str, Any] = {
            "name": "test",
            "log": {"columns": columns, "malformed_limit": 10, **(log or {})},
            "split": {"by": "rows", "valid": 0.2, "test": 0.2},
            "workflow": {"graph": "standard"},
        }
        return Config.model_validate({**settings, **changes})

    return make


@pytest.fixture
def good_lines() -> list[str]:
    """Twenty lines; every second one is a click."""
    return [f"{i % 2},{i}.5,{i},{i:x},w{i}" for i in range(20)]


@pytest.fixture
def ingest_text(tmp_path: Path) -> Callable[..., Ingested]:
    """Write each text (or bytes) as a file and ingest them all into `tmp_path / "out"`."""

    def run(config: Config, *texts: str | bytes, suffix: str = ".csv") -> Ingested:
        files = []
        for position, text in enumerate(texts):
            file = tmp_path / f"log_{position}{suffix}"
            file.write_bytes(text.encode() if isinstance(text, str) else text)
            files.append(file)
        return ingest_typed(config, files, tmp_path / "out", lambda _: None)

    return run


@pytest.fixture
def split_rows(tmp_path: Path) -> Callable[[str], pl.DataFrame]:
    def read(split: str) -> pl.DataFrame:
        return pl.read_parquet(tmp_path / "out" / split / "part-*.parquet")

    return read
