"""The peers of the tables benchmark: logistic regression and LightGBM on encoded rows.

Both train on the DLRM's training rows and use the validation split: the regression to choose its
penalty, LightGBM to choose its number of trees. Scikit-learn and LightGBM are imported only here,
from the folder that `make peers` creates.

Legend: B rows, F columns with one id a row, C continuous columns.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from plumbline.columns.kinds import CLICK
from plumbline.dlrm.metrics.metrics import log_loss
from plumbline.features.plan.plan import Plan

PEERS = Path(__file__).parent.parent / ".venv-peers"

PENALTIES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Candidates for the inverse strength of the regression's penalty."""

TREES, TREES_WITHOUT_GAIN = 2000, 50
LIGHTGBM = {
    "objective": "binary",
    "learning_rate": 0.05,
    "min_data_in_leaf": 50,
    "num_threads": 1,
    "deterministic": True,
    "verbosity": -1,
}


@dataclass(frozen=True, slots=True)
class Split:
    """Encoded rows of one split: ids_BF int64, dense_BC float64, click_B, and each list column as
    a matrix of ones, (B, its cardinality)."""

    ids_BF: NDArray[np.int64]
    dense_BC: NDArray[np.float64]
    lists: tuple[Any, ...]
    click_B: NDArray[np.float64]


def read_split(plan: Plan, files: Sequence[Path]) -> Split:
    frame = pl.read_parquet(list(files))
    single = [column.name for column in plan.categorical if not column.is_list]
    ids_BF = np.empty((len(frame), len(single)), np.int64)
    dense_BC = np.empty((len(frame), len(plan.continuous)), np.float64)
    for index, name in enumerate(single):
        ids_BF[:, index] = frame[name].to_numpy()
    for index, column in enumerate(plan.continuous):
        dense_BC[:, index] = frame[column.name].to_numpy()
    lists = tuple(
        _ones(frame[column.name].to_list(), column.cardinality)
        for column in plan.categorical
        if column.is_list
    )
    return Split(ids_BF, dense_BC, lists, frame[CLICK].to_numpy().astype(np.float64))


def logistic_regression(
    plan: Plan, train: Split, valid: Split, test: Split, seed: int
) -> NDArray[np.float64]:
    """probability_B of the test split; one weight per id and per number, numbers standardized."""
    _find_peers()
    from sklearn.linear_model import LogisticRegression

    mean_C, deviation_C = train.dense_BC.mean(axis=0), train.dense_BC.std(axis=0)
    deviation_C[deviation_C == 0] = 1.0
    cardinalities = [column.cardinality for column in plan.categorical if not column.is_list]

    def matrix(split: Split) -> Any:
        dense_BC = (split.dense_BC - mean_C) / deviation_C
        one_hot = _one_hot(split.ids_BF, cardinalities)
        return sparse.hstack([one_hot, *split.lists, sparse.csr_matrix(dense_BC)]).tocsr()

    train_matrix, valid_matrix = matrix(train), matrix(valid)
    models = [
        LogisticRegression(C=penalty, max_iter=1000, random_state=seed).fit(
            train_matrix, train.click_B
        )
        for penalty in PENALTIES
    ]
    best = min(
        models,
        key=lambda model: log_loss(valid.click_B, model.predict_proba(valid_matrix)[:, 1]),
    )
    probability_B: NDArray[np.float64] = best.predict_proba(matrix(test))[:, 1]
    return probability_B


def lightgbm(plan: Plan, train: Split, valid: Split, test: Split, seed: int) -> NDArray[np.float64]:
    """probability_B of the test split; ids as LightGBM's categories, lists as columns of ones."""
    _find_peers()
    import lightgbm as gbm

    columns = list(range(train.ids_BF.shape[1]))

    def matrix(split: Split) -> Any:
        plain = np.concatenate([split.ids_BF.astype(np.float64), split.dense_BC], axis=1)
        return sparse.hstack([sparse.csr_matrix(plain), *split.lists]).tocsr()

    data = gbm.Dataset(matrix(train), train.click_B, categorical_feature=columns)
    judge = gbm.Dataset(matrix(valid), valid.click_B, reference=data)
    model = gbm.train(
        {**LIGHTGBM, "seed": seed},
        data,
        TREES,
        valid_sets=[judge],
        callbacks=[gbm.early_stopping(TREES_WITHOUT_GAIN, verbose=False)],
    )
    probability_B: NDArray[np.float64] = np.asarray(model.predict(matrix(test)))
    return probability_B


SIDES: dict[str, Callable[[Plan, Split, Split, Split, int], NDArray[np.float64]]] = {
    "logistic regression": logistic_regression,
    "LightGBM": lightgbm,
}


def _find_peers() -> None:
    """Append the peers' folder to the path; the environment's packages come first."""
    if str(PEERS) not in sys.path:
        sys.path.append(str(PEERS))


def _one_hot(ids_BF: NDArray[np.int64], cardinalities: Sequence[int]) -> Any:
    first_F = np.concatenate([[0], np.cumsum(cardinalities)]).astype(np.int64)
    rows, columns = ids_BF.shape
    indices = (ids_BF + first_F[:-1]).ravel()
    starts = np.arange(0, rows * columns + 1, max(columns, 1))[: rows + 1]
    if not columns:
        starts = np.zeros(rows + 1, np.int64)
    return sparse.csr_matrix((np.ones(len(indices)), indices, starts), (rows, int(first_F[-1])))


def _ones(lists: Sequence[Sequence[int]], cardinality: int) -> Any:
    lengths = [len(ids) for ids in lists]
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    indices = np.array([value for ids in lists for value in ids], np.int64)
    return sparse.csr_matrix((np.ones(len(indices)), indices, starts), (len(lists), cardinality))
