"""Typed rows, and the interface through which an engine reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from plumbline.columns.kinds import FeatureKind
from plumbline.columns.values import Values, concat, take

TRAIN = "train"
"""The split that a plan is fitted on."""


@dataclass(frozen=True, slots=True)
class Rows:
    """A chunk of typed rows.

    `columns` holds the feature columns by name: continuous float32, integer and hex int64, string
    `Text`, the list kinds `Lists`; `click` is int8 (B,), 0 or 1.
    """

    columns: dict[str, Values]
    click: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.click)

    def take(self, rows: NDArray[Any]) -> Rows:
        """Select rows by an array of row numbers or a mask."""
        columns = {name: take(values, rows) for name, values in self.columns.items()}
        return Rows(columns, self.click[rows])

    @classmethod
    def concat(cls, parts: Sequence[Rows]) -> Rows:
        """Concatenate one or more parts with the same columns."""
        names = parts[0].columns
        columns = {name: concat([part.columns[name] for part in parts]) for name in names}
        return cls(columns, concat([part.click for part in parts]))


Chunk = Callable[[], Rows]
"""Reads a chunk of rows when it is called; any thread may call it.

Chunks of typed Parquet and of plain text may be sent to other processes, which then read them.
"""


class RowSource(Protocol):
    """The typed rows of every split, in order; they can be read repeatedly."""

    @property
    def kinds(self) -> Mapping[str, FeatureKind]:
        """Every feature column and its kind, in order."""

    @property
    def splits(self) -> Mapping[str, int]:
        """Split name to its number of rows."""

    def chunks(self, split: str) -> Iterator[Chunk]:
        """The split's rows in order, in chunks of about 100,000 to 500,000 rows.

        Several threads may call chunks at the same time; each chunk is called once.

        Raises
        ------
        DataError
            A file is missing or damaged, or has changed since its rows were counted.
        """


class RowsOfSource:
    """The kinds and splits of another row source, for one that reads its chunks in another way."""

    def __init__(self, source: RowSource) -> None:
        self._source = source

    @property
    def kinds(self) -> Mapping[str, FeatureKind]:
        return self._source.kinds

    @property
    def splits(self) -> Mapping[str, int]:
        return self._source.splits
