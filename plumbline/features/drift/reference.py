"""The reference: how often the values of each bin came in training. A file of a served version.

`drift.json` has the hash of its plan, the number of rows that were counted, and for each measure
of `plumbline.features.drift.measured` the bounds of its bins and their counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plumbline.base.errors import ArtifactError
from plumbline.base.files import write_json
from plumbline.base.inside import file_inside
from plumbline.base.json_fields import Count, from_json, shown
from plumbline.base.json_text import read_json
from plumbline.features.drift.bins import BUCKETS, FREQUENT, Bins, IdBins, NumberBins
from plumbline.features.drift.measured import Measured, RawNumbers, measured
from plumbline.features.encoding.encoder import Encoded
from plumbline.features.plan.plan import Plan

REFERENCE_FILE = "drift.json"
FORMAT_VERSION = 1

_MOST_COUNTED = 2**53
"""Larger numbers have no float64 of their own."""
_LARGEST = float(np.finfo(np.float32).max)


class DriftReferenceError(ArtifactError):
    """A reference of drift is damaged, or is of another plan."""

    kind = "a reference of drift"
    whole = "the version"
    written = "the reference was written"
    remedy = "Run the etl stage again, and export."


@dataclass(frozen=True, slots=True)
class ReferenceColumn:
    """A measure, its bins, and the counts (K,) in training, int64."""

    measured: Measured
    bins: Bins
    counts_K: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Reference:
    """The counts of `rows` training rows, evenly spread."""

    plan_hash: str
    rows: int
    columns: tuple[ReferenceColumn, ...]

    @classmethod
    def of(cls, plan: Plan, raw: RawNumbers, encoded: Encoded) -> Reference:
        """That of encoded rows; `raw` gives their raw numbers."""
        columns = []
        for one in measured(plan):
            values_N = one.values(raw, encoded)
            bins = one.bins_of(values_N)
            columns.append(ReferenceColumn(one, bins, bins.count(values_N)))
        return cls(plan.content_hash, len(encoded.ids_BF), tuple(columns))

    @property
    def edges(self) -> dict[str, NDArray[np.float32]]:
        """Raw continuous column to the edges of its bins: the distinct deciles of its values."""
        return {
            one.measured.column: one.bins.edges
            for one in self.columns
            if one.measured.measure == "number" and isinstance(one.bins, NumberBins)
        }

    def count(
        self, raw: RawNumbers, encoded: Encoded, columns: int | None = None
    ) -> list[NDArray[np.int64]]:
        """Count encoded rows in the bins of the first so many columns, or of all."""
        return [one.bins.count(one.measured.values(raw, encoded)) for one in self.columns[:columns]]

    def write(self, file: Path) -> None:
        content = {
            "format_version": FORMAT_VERSION,
            "plan_hash": self.plan_hash,
            "rows": self.rows,
            "columns": [asdict(_stored(column)) for column in self.columns],
        }
        write_json(file, content)


@dataclass(frozen=True, slots=True)
class _Head:
    plan_hash: str
    rows: Count


@dataclass(frozen=True, slots=True)
class _StoredColumn:
    column: str
    measure: str
    edges: tuple[float, ...]
    """Of numbers: the lowest of each bin but the first."""
    ids: tuple[Count, ...]
    """Of ids: the frequent ones."""
    counts: tuple[Count, ...]


def read_reference(file: Path, plan: Plan) -> Reference:
    """The reference in a file that anybody may have written.

    Raises
    ------
    DriftReferenceError
        The file is missing or not a reference, or is not of this plan.
    """
    file_inside(file.parent, file.name, DriftReferenceError)
    try:
        return _reference(file, plan)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DriftReferenceError.unreadable(str(file), str(error)) from None


def _reference(file: Path, plan: Plan) -> Reference:
    content = read_json(file)
    if not isinstance(content, dict):
        raise ValueError(f"wanted an object, got {shown(content)}")
    version = content.pop("format_version", None)
    if version != FORMAT_VERSION:
        raise ValueError(f"wanted format version {FORMAT_VERSION}, got {shown(version)}")
    columns = content.pop("columns", None)
    if not isinstance(columns, list):
        raise ValueError(f"columns: wanted a list, got {shown(columns)}")
    head = from_json(_Head, content)
    if head.plan_hash != plan.content_hash:
        plan_hash = plan.content_hash[:12]
        raise ValueError(f"wanted one of plan {plan_hash}…, got one of {head.plan_hash[:12]}…")
    wanted = measured(plan)
    if len(columns) != len(wanted):
        raise ValueError(f"wanted {len(wanted)} columns, got {len(columns)}")
    read = [_column(one, column) for one, column in zip(wanted, columns, strict=True)]
    return Reference(head.plan_hash, head.rows, tuple(read))


def _column(wanted: Measured, content: object) -> ReferenceColumn:
    stored = from_json(_StoredColumn, content)
    if (stored.column, stored.measure) != (wanted.column, wanted.measure):
        raise ValueError(
            f"wanted measure {wanted.measure!r} of column {wanted.column!r}, "
            f"got {shown(stored.measure)} of {shown(stored.column)}"
        )
    where = f"column {wanted.column!r}"
    bins = _id_bins(wanted, stored, where) if wanted.measure == "id" else _edges(stored, where)
    if len(stored.counts) != bins.bins:
        raise ValueError(f"{where}: wanted {bins.bins} counts, got {len(stored.counts)}")
    if sum(stored.counts) > _MOST_COUNTED:
        raise ValueError(f"{where}: wanted counts up to 2⁵³ together, got {sum(stored.counts)}")
    return ReferenceColumn(wanted, bins, np.array(stored.counts, np.int64))


def _id_bins(wanted: Measured, stored: _StoredColumn, where: str) -> IdBins:
    ids = stored.ids
    if stored.edges or len(ids) > FREQUENT or len({*ids}) != len(ids):
        raise ValueError(f"{where}: wanted up to {FREQUENT} different ids, and no edges")
    for one in ids:
        if one >= wanted.ids or one in wanted.unseen or one == wanted.null:
            raise ValueError(f"{where}: wanted ids of known values, below {wanted.ids}, got {one}")
    return IdBins(ids, wanted.unseen, wanted.null)


def _edges(stored: _StoredColumn, where: str) -> NumberBins:
    edges = stored.edges
    if stored.ids or len(edges) >= BUCKETS:
        raise ValueError(f"{where}: wanted up to {BUCKETS - 1} edges, and no ids")
    if any(abs(edge) > _LARGEST for edge in edges):
        raise ValueError(f"{where}: wanted edges that are finite in float32, got {shown(edges)}")
    narrow = np.array(edges, np.float32)
    if not (np.diff(narrow) > 0).all():
        raise ValueError(f"{where}: wanted edges that grow, got {shown(edges)}")
    return NumberBins(narrow)


def _stored(column: ReferenceColumn) -> _StoredColumn:
    edges: Sequence[float] = ()
    ids: Sequence[int] = ()
    if isinstance(column.bins, IdBins):
        ids = column.bins.frequent
    else:
        edges = column.bins.edges.tolist()
    of = column.measured
    counts = column.counts_K.tolist()
    return _StoredColumn(of.column, of.measure, tuple(edges), tuple(ids), tuple(counts))
