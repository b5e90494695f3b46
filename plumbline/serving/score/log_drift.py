"""The drift of a file of rows against the reference of a served version, without a server."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline.columns.wire import CONTINUOUS, Tensors, to_tensors
from plumbline.features.drift.bins import IdBins, stability_index
from plumbline.features.drift.reference import (
    REFERENCE_FILE,
    DriftReferenceError,
    Reference,
    ReferenceColumn,
    read_reference,
)
from plumbline.features.encoding.online import OnlineExecutor
from plumbline.features.plan.plan import Plan, read_plan
from plumbline.serving.contract.interface import FEATURES_MODEL, wire_columns
from plumbline.serving.contract.log_rules import LogRules
from plumbline.serving.contract.versions import (
    CONFIG_FILE,
    PLAN_FOLDER,
    newest_version,
    parameters_of,
    verified_manifest,
)
from plumbline.serving.repository.configs import parameters_in, read_config
from plumbline.serving.score.reading import ReadOptions
from plumbline.serving.score.row_files import RowFile

CHUNK_ROWS = 16_384


@dataclass(frozen=True, slots=True)
class Exported:
    """What the newest version of a repository says of its rows: plan, log, reference."""

    plan: Plan
    rules: LogRules | None
    reference: Reference

    @classmethod
    def read(cls, repository: Path) -> Exported:
        """From the version's folder of `ctr_features`, which repositories for CPU and GPU have.

        Raises
        ------
        RepositoryError
            There is no repository, or a file is missing or was changed.
        DriftReferenceError
            The version was exported without a reference.
        """
        folder = repository / FEATURES_MODEL
        given = parameters_in(read_config(folder / CONFIG_FILE))
        number = newest_version(FEATURES_MODEL, given)
        parameters, version = parameters_of(FEATURES_MODEL, given, number)
        manifest = verified_manifest(folder / number, version)
        if REFERENCE_FILE not in manifest.files:
            raise DriftReferenceError.missing(str(folder / number / REFERENCE_FILE))
        plan = read_plan(folder / number / PLAN_FOLDER)
        reference = read_reference(folder / number / REFERENCE_FILE, plan)
        return cls(plan, LogRules.of_parameters(FEATURES_MODEL, parameters), reference)


@dataclass(frozen=True, slots=True)
class ColumnDrift:
    """How far a column of the file is from the training rows."""

    reference: ReferenceColumn
    counts_K: NDArray[np.int64]
    index: float | None
    """Population stability index; None if the file or the reference has too few values."""

    @property
    def values(self) -> int:
        return int(self.counts_K.sum())

    def missing(self) -> tuple[float, float]:
        """The missing share, in training and in the file; NaN of no values."""
        return self._shares(self.reference.bins.missing)

    def unseen(self) -> tuple[float, float]:
        """The same of values that the vocabulary does not have."""
        return self._shares(self.reference.bins.unseen)

    def _shares(self, part: Callable[[NDArray[np.int64]], int]) -> tuple[float, float]:
        before, now = (_share(part(c), c) for c in (self.reference.counts_K, self.counts_K))
        return before, now

    def to_json(self) -> dict[str, Any]:
        """Bins are in the order of `plumbline.features.drift.bins`."""
        bins, measured = self.reference.bins, self.reference.measured
        bounds: dict[str, Any] = (
            {"ids": list(bins.frequent)}
            if isinstance(bins, IdBins)
            else {"edges": bins.edges.tolist()}
        )
        (missing_before, missing), (unseen_before, unseen) = self.missing(), self.unseen()
        return {
            "column": measured.column,
            "measure": measured.measure,
            "stability_index": self.index,
            "values": self.values,
            "missing": _json(missing),
            "missing_in_training": _json(missing_before),
            "unseen": _json(unseen),
            "unseen_in_training": _json(unseen_before),
            **bounds,
            "counts": self.counts_K.tolist(),
            "counts_in_training": self.reference.counts_K.tolist(),
        }


@dataclass(frozen=True, slots=True)
class LogDrift:
    """The drift of a file; `columns` is sorted, the worst first."""

    rows: int
    reference: Reference
    columns: tuple[ColumnDrift, ...]
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "training_rows": self.reference.rows,
            "plan_hash": self.reference.plan_hash,
            "columns": [column.to_json() for column in self.columns],
        }


def drift_of_log(exported: Exported, log: Path, tables: Path | None) -> LogDrift:
    """Read a file or folder as `plumbline score` does, encode it, and count its values.

    Parameters
    ----------
    tables
        Folder of the side tables; None means that of the log.

    Raises
    ------
    DataError
        See `RowFile`.
    PlanError
        A file of the plan is missing or was changed.
    """
    plan, reference = exported.plan, exported.reference
    file = RowFile(log, plan.kinds, exported.rules, ReadOptions(), CHUNK_ROWS, tables=tables)
    executor, columns = OnlineExecutor(plan), wire_columns(plan)
    counts = [np.zeros_like(column.counts_K) for column in reference.columns]
    rows = 0
    for chunk in file:
        tensors = to_tensors(chunk.rows, columns)
        counted = reference.count(_raw_numbers(tensors), executor.transform(tensors))
        for total_K, counts_K in zip(counts, counted, strict=True):
            total_K += counts_K
        rows += len(chunk.rows)
    found = [
        ColumnDrift(column, counts_K, stability_index(column.counts_K, counts_K))
        for column, counts_K in zip(reference.columns, counts, strict=True)
    ]
    found.sort(key=lambda one: -1.0 if one.index is None else one.index, reverse=True)
    return LogDrift(rows, reference, tuple(found), file.warnings)


def _raw_numbers(tensors: Tensors) -> Callable[[int], NDArray[np.float32]]:
    return lambda position: tensors[CONTINUOUS][:, position].astype(np.float32, copy=False)


def _share(part: int, counts_K: NDArray[np.int64]) -> float:
    whole = int(counts_K.sum())
    return part / whole if whole else math.nan


def _json(share: float) -> float | None:
    return None if math.isnan(share) else share
