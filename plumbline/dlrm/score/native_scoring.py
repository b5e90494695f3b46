"""Scoring of an architecture's weights as arrays. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate
from types import ModuleType
from typing import Any

from numpy.typing import NDArray

from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.ops.scoring.contract import IdTable, Scoring, ScoringShape
from plumbline.dlrm.ops.scoring.cpu import CpuScoring
from plumbline.dlrm.ops.scoring.int8_reference import Int8Reference
from plumbline.dlrm.ops.scoring.precision import ScoringPrecision
from plumbline.dlrm.ops.scoring.speed import scoring_set
from plumbline.dlrm.score.quantization import quantized_weights


def native_scoring(
    module: ModuleType,
    architecture: Architecture,
    weights: Mapping[str, NDArray[Any]],
    precision: ScoringPrecision,
    threads: int | None,
) -> CpuScoring:
    """`CpuScoring` with the instruction set that is the fastest here.

    `weights` must have the architecture's shapes, and be quantized for int8.
    """
    fastest = scoring_set(module, precision)
    return CpuScoring(module, fastest, scoring_shape(architecture), weights, precision, threads)


def int8_scoring(
    module: ModuleType | None,
    architecture: Architecture,
    weights: Mapping[str, NDArray[Any]],
    threads: int | None,
) -> Scoring:
    """Of trained or quantized weights; in NumPy without a native module."""
    if "tables.scale" not in weights:
        weights = quantized_weights(architecture, weights)
    if module is None:
        return Int8Reference(scoring_shape(architecture), weights)
    return native_scoring(module, architecture, weights, "int8", threads)


def scoring_shape(architecture: Architecture) -> ScoringShape:
    """The architecture as the native module needs it."""
    sizes = architecture.cardinalities
    first_rows = list(accumulate((0, *sizes)))[:-1]
    tables = {
        name: IdTable(first_row, size, position)
        for position, (name, first_row, size) in enumerate(
            zip(architecture.categorical, first_rows, sizes, strict=True)
        )
    }
    return ScoringShape(
        single=tuple(tables[name] for name in architecture.single),
        lists=tuple(tables[name] for name in architecture.bags),
        pooling=architecture.bag,
        weighted_lists=0 if architecture.bag_positions is None else len(architecture.bags),
        embedding_dim=architecture.embedding_dim,
        embedding_rows=architecture.embedding_rows,
        continuous=len(architecture.continuous),
        bottom_layers=len(architecture.bottom_mlp),
        top_layers=len(architecture.top_mlp),
    )
