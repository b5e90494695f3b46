"""Rows of unusual valid values, and each model's answers, computed offline.

Legend: B rows, R chosen rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline.columns.list_bytes import pack
from plumbline.columns.values import NULL_INT64, Lists, Text, offsets_of
from plumbline.columns.wire import Tensors, WireColumns
from plumbline.dlrm.score.scorer import Scorer
from plumbline.features.encoding.online import OnlineExecutor
from plumbline.serving.contract.interface import (
    CLICK_PROBABILITY,
    DLRM_MODEL,
    ENSEMBLE_MODEL,
    FEATURES_MODEL,
    FUSED_MODEL,
)
from plumbline.serving.contract.outputs import to_encoded_tensors

MODELS = (FEATURES_MODEL, DLRM_MODEL, ENSEMBLE_MODEL, FUSED_MODEL)

_LARGEST = np.finfo(np.float32).max
_SMALLEST = np.float32(1e-45)
_FLOATS = (np.nan, 0.0, -0.0, _SMALLEST, -_SMALLEST, _LARGEST, -_LARGEST, 7.5)
_INTEGERS = (NULL_INT64, NULL_INT64 + 1, 2**63 - 1, 2**32, -(2**31) - 1, -1, 0)
_TEXTS = (
    b"",
    b"\0",
    b"north\0",
    b"\0north",
    b"north ",
    b"\xff\xfe\xfd",
    b"\xc3",
    b"\xed\xa0\x80",
    "e\u0301".encode(),
    b"\xf4\x90\x80\x80",
    b'"],[',
    b"a" * 5000,
)


@dataclass(frozen=True, slots=True)
class Pool:
    """For each model, the request tensors of B rows and the tensors of the answer."""

    requests: Mapping[str, Tensors]
    answers: Mapping[str, Tensors]

    def take(self, model: str, rows_R: NDArray[np.int64]) -> tuple[Tensors, Tensors]:
        """The request tensors of these rows, and those of the answer."""
        requests, answers = self.requests[model], self.answers[model]
        return (
            {name: tensor[rows_R] for name, tensor in requests.items()},
            {name: tensor[rows_R] for name, tensor in answers.items()},
        )


def odd_tensors(
    rng: np.random.Generator,
    columns: WireColumns,
    known: Mapping[str, Any],
    rows: int,
) -> Tensors:
    """Rows with known, unseen, missing and extreme values in every column.

    `known` maps a categorical column to its values with an id, as integers or text.
    """
    tensors: Tensors = {}
    for tensor, (names, dtype) in columns.tensors.items():
        drawn = np.empty((rows, len(names)), dtype)
        for index, name in enumerate(names):
            drawn[:, index] = _column(rng, tensor, known.get(name, ()), rows)
        tensors[tensor] = drawn
    return tensors


def make_pool(tensors: Tensors, executor: OnlineExecutor, scorer: Scorer) -> Pool:
    """The pool of raw rows, encoded and scored offline."""
    encoded = executor.transform(tensors)
    probability_B = scorer.score(encoded.ids_BF, encoded.dense_BC, encoded.bags)
    scored: Tensors = {CLICK_PROBABILITY: probability_B[:, np.newaxis]}
    between = to_encoded_tensors(encoded)
    requests = dict.fromkeys(MODELS, tensors) | {DLRM_MODEL: between}
    return Pool(requests, dict.fromkeys(MODELS, scored) | {FEATURES_MODEL: between})


def _column(rng: np.random.Generator, tensor: str, known: Any, rows: int) -> NDArray[Any]:
    if tensor == "continuous":
        return _chosen(rng, [*_FLOATS, *rng.normal(10.0, 20.0, 10)], rows).astype(np.float32)
    integers = [*known, *_INTEGERS, *rng.integers(-(2**63), 2**63, 5).tolist()]
    if tensor == "categorical_int64":
        return _chosen(rng, integers, rows).astype(np.int64)
    if tensor == "list_int64":
        return pack(Lists(*_elements(rng, rows, lambda n: _chosen(rng, integers, n).astype(int))))
    texts = [*(text.encode() for text in known), *_TEXTS, *map(rng.bytes, range(1, 6))]
    if tensor == "categorical_bytes":
        return _chosen(rng, texts, rows)
    return pack(
        Lists(*_elements(rng, rows, lambda n: Text.from_objects(_chosen(rng, texts, n).tolist())))
    )


def _chosen(rng: np.random.Generator, values: list[Any], count: int) -> NDArray[np.object_]:
    chosen = np.empty(count, np.object_)
    chosen[:] = [values[index] for index in rng.integers(0, len(values), count)]
    return chosen


def _elements(rng: np.random.Generator, rows: int, draw: Any) -> tuple[Any, NDArray[np.int64]]:
    offsets = offsets_of(rng.integers(0, 5, rows))
    return draw(int(offsets[-1])), offsets
