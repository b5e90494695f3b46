"""ColumnSimilarity: the similarity of two ids by their rows in sparse matrices of features."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from plumbline.base.errors import DataError
from plumbline.features.operators.column_similarity import (
    FeatureMatrix,
    FitSimilarity,
    similarity_of,
)
from plumbline.features.steps.chains import Source
from plumbline.features.steps.fit_step import NoRows, Target
from plumbline.features.steps.step import Step
from plumbline.nvtabular.library import ops
from plumbline.nvtabular.operator_call import CompiledOperator, OperatorCall
from plumbline.nvtabular.patching.columns import frame_of, key_values

_METRICS = ("tfidf", "cosine", "inner")


def column_similarity(at: OperatorCall) -> Source:
    if at.operator.metric not in _METRICS:
        remedy = f"Give one of {', '.join(_METRICS)}."
        raise at.unsupported_parameter("metric", at.operator.metric, remedy)
    sources = tuple(at.source(name) for name in at.node.column_mapping[at.output])
    for source in sources:
        actual = at.type_of(source)
        if actual.element != "integer" or actual.is_list:
            remedy = "It takes row numbers of its matrices: give both columns the kind integer."
            raise at.unsupported(f"ColumnSimilarity on {actual}", remedy)
    left, right = feature_matrices(at.operator)
    step = FitSimilarity(left.sha256(), right.sha256(), left, right)

    def read(target: Target) -> Step:
        return step.fitted(NoRows(), target)

    return at.fit_step(step, read, *sources)


def feature_matrices(operator: Any) -> tuple[FeatureMatrix, FeatureMatrix]:
    """The weighted matrices of both columns, computed once.

    Raises
    ------
    DataError
        A matrix has values that are not finite, or too many rows and columns.
    """
    if "feature_matrices" not in vars(operator):
        # NVTabular's operator replaces its matrices by weighted ones when it first runs.
        metric = "inner" if operator._initialized else operator.metric
        left = _weighted(operator.left_features, metric)
        given = operator.right_features
        right = left if given is None else _weighted(given, metric)
        operator.feature_matrices = left, right
    matrices: tuple[FeatureMatrix, FeatureMatrix] = operator.feature_matrices
    return matrices


def _weighted(features: Any, metric: str) -> FeatureMatrix:
    """The matrix whose inner products are the similarities.

    tfidf: values are multiplied by log(rows / entries of the column) first. tfidf and cosine: each
    row is divided by its Euclidean norm. Entries that are 0 are left out.
    """
    if type(features).__module__.startswith("cupy"):
        features = features.get()
    given = sparse.coo_matrix(features).astype(np.float64).tocsr()
    given.sum_duplicates()
    given.eliminate_zeros()
    entries = given.tocoo()
    rows, columns = entries.shape
    row, column = entries.row.astype(np.int64), entries.col.astype(np.int64)
    value: NDArray[np.float64] = entries.data
    if not np.isfinite(value).all():
        raise DataError(
            "ColumnSimilarity: wanted finite features, got NaN or an infinite number in row "
            f"{row[~np.isfinite(value)][0]} of a matrix. Leave the entry out."
        )
    if rows * columns >= 2**62:
        raise DataError(
            f"ColumnSimilarity: wanted a matrix of fewer than 2**62 cells, got {rows} rows and "
            f"{columns} columns. Number its columns from 0."
        )
    if metric == "tfidf":
        value = value * np.log(rows / np.bincount(column, minlength=1))[column]
    if metric != "inner":
        norm = np.sqrt(np.bincount(row, value**2, minlength=1))[row]
        value = np.divide(value, norm, out=np.zeros_like(value), where=norm > 0)
    kept = np.not_equal(value, 0.0)
    return FeatureMatrix(rows, row[kept], column[kept], value[kept])


class ColumnSimilarity(ops.ColumnSimilarity):
    """Computes in float64; an id that is missing or no row has no similarity."""

    def transform(self, col_selector: Any, df: Any) -> Any:
        similarities = similarity_of(*feature_matrices(self))
        columns = {}
        for output, names in self.column_mapping(col_selector).items():
            one_B, two_B = (np.asarray(key_values(df[name])) for name in names)
            columns[output] = similarities(one_B, two_B)
        return frame_of(df, columns)


OPERATORS = (CompiledOperator(ops.ColumnSimilarity, column_similarity, ColumnSimilarity),)
