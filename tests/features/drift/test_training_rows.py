"""The sample of training rows is evenly spread, and costs no second read where an engine reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pytest

from plumbline.columns.rows import Chunk, Rows
from plumbline.features.drift import training_rows
from plumbline.features.drift.training_rows import TrainingRows


@dataclass
class Source:
    """Chunks of one column that has the numbers of its rows, and the chunks that were read."""

    rows: int
    chunk_rows: int
    read: list[int] = field(default_factory=list)

    @property
    def kinds(self) -> dict[str, Any]:
        return {"n": "integer"}

    @property
    def splits(self) -> dict[str, int]:
        return {"train": self.rows, "valid": self.rows}

    def chunks(self, split: str) -> Iterator[Chunk]:
        for number, start in enumerate(range(0, self.rows, self.chunk_rows)):
            yield partial(self._chunk, number, start)

    def _chunk(self, number: int, start: int) -> Rows:
        self.read.append(number)
        numbers = np.arange(start, min(start + self.chunk_rows, self.rows))
        return Rows({"n": numbers}, np.zeros(len(numbers), np.int8))


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_rows, "SAMPLE_ROWS", 100)


@pytest.mark.usefixtures("few")
def test_rows_are_kept_as_an_engine_reads_them() -> None:
    source = Source(1000, 50)
    kept = TrainingRows(source)
    for _ in range(2):  # an engine reads once to fit, and once to encode
        read = [chunk() for chunk in reversed(list(kept.chunks("train")))]
    assert len(Rows.concat(read)) == 1000
    assert [len(chunk()) for chunk in kept.chunks("valid")] == [50] * 20
    before = list(source.read)
    assert kept.sample().columns["n"].tolist() == list(range(0, 1000, 10))
    assert source.read == before


@pytest.mark.usefixtures("few")
def test_some_chunks_are_read_if_nobody_has_read_them() -> None:
    source = Source(5000, 50)
    sample = TrainingRows(source).sample().columns["n"]
    assert source.read == list(range(0, 100, 7))  # every seventh, so that they are 16 at most
    assert 100 <= len(sample) <= 120 and len(set(sample.tolist())) == len(sample)


def test_a_small_log_is_kept_whole() -> None:
    assert TrainingRows(Source(30, 7)).sample().columns["n"].tolist() == list(range(30))
