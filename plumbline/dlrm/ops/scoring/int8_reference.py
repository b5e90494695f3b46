"""Int8 scoring in NumPy: the specification of the native form, and what runs without it.

Legend: B rows, F columns with one id a row, C continuous columns, V vectors of a row, D embedding
length, I inputs, O outputs of a layer, R rows of all tables, N ids of a list column.

A number is q · scale with an integer q from −127 to 127. A row of a table, a row of activations and
a vector have a scale each; a layer's weights have one for each output. Activations are quantized
when they are computed, with the scale max |x| / 127. The first bottom layer and the last layer are
float32, as are biases, the dense vector's own place in the interaction, and the sums of lists.

Sums of products of q are exact. Sums of float32 run in the order that is written here, and each
product is rounded before it is added. So all forms give the same bits, up to the sigmoid's
exponential function, and a row's score depends only on that row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from plumbline.dlrm.ops.embedding.pooling import Pooling
from plumbline.dlrm.ops.interaction.width import interaction_width
from plumbline.dlrm.ops.scoring.contract import ScoringShape, position_weights

if TYPE_CHECKING:
    from plumbline.columns.values import Lists

Floats = NDArray[np.float32]

LARGEST = np.float32(127)
SMALLEST = np.float32(2.0**-60)
"""A row whose numbers are all smaller is zeros."""

_LANES = 16
"""The last layer's sum has this many parts."""


class Quantized(NamedTuple):
    """q, int8, and the scale of each row: the last axis shares one."""

    q: NDArray[np.int8]
    scale: Floats


def quantize(values: Floats) -> Quantized:
    """To nearest, even on ties; the scale is NaN if a number is infinite or NaN."""
    largest = np.abs(values).max(axis=-1, initial=0)
    is_finite = np.isfinite(largest)
    used = is_finite & (largest >= SMALLEST)
    largest = np.where(used, largest, LARGEST)
    scale = np.where(used, largest / LARGEST, np.float32(0))
    inverse = np.where(used, LARGEST / largest, np.float32(0))[..., np.newaxis]
    q = np.where(np.isfinite(values), np.rint(np.nan_to_num(values) * inverse), 0)
    return Quantized(
        q.astype(np.int8), np.where(is_finite, scale, np.float32(np.nan)).astype(np.float32)
    )


class Int8Reference:
    """A model of `weights` as `plumbline.dlrm.score.quantization` names them."""

    def __init__(self, shape: ScoringShape, weights: Mapping[str, NDArray[Any]]) -> None:
        self._shape = shape
        self._weights = weights

    def score(
        self, ids_BF: NDArray[np.int64], dense_BC: Floats, bags: Sequence[Lists]
    ) -> Floats | None:
        """probability_B; None if an id is outside its table."""
        with np.errstate(over="ignore", invalid="ignore"):
            logit_B = self.logits(ids_BF, dense_BC, bags)
            if logit_B is None:
                return None
            return (1 / (1 + np.exp(-logit_B))).astype(np.float32)

    def logits(
        self, ids_BF: NDArray[np.int64], dense_BC: Floats, bags: Sequence[Lists]
    ) -> Floats | None:
        """logit_B; None if an id is outside its table."""
        shape = self._shape
        embeddings = self._look_up(ids_BF, bags)
        if embeddings is None:
            return None
        dense_BD = None
        if shape.continuous:
            dense_BD = self._first(dense_BC)
            for number in range(1, shape.bottom_layers):
                dense_BD = self._linear_relu(f"bottom.{number}", dense_BD)
        hidden = _interaction(dense_BD, embeddings) if embeddings.q.shape[1] else dense_BD
        assert hidden is not None, "a model has id columns or continuous ones"
        for number in range(shape.top_layers):
            hidden = self._linear_relu(f"top.{number}", hidden)
        return self._last(hidden)

    def _look_up(self, ids_BF: NDArray[np.int64], bags: Sequence[Lists]) -> Quantized | None:
        """(B, V, D); V without the dense vector."""
        shape, rows = self._shape, len(ids_BF)
        count = len(shape.single) + len(shape.lists)
        q_BVD = np.zeros((rows, count, shape.embedding_dim), np.int8)
        scale_BV = np.zeros((rows, count), np.float32)
        weight_RD, scale_R = self._weights["tables.weight"], self._weights["tables.scale"]
        for table, ids_B in zip(shape.single, ids_BF.T, strict=True):
            if ((ids_B < 0) | (ids_B >= table.cardinality)).any():
                return None
            q_BVD[:, table.position] = weight_RD[table.first_row + ids_B]
            scale_BV[:, table.position] = scale_R[table.first_row + ids_B]
        weights: list[Floats | None] = [*position_weights(shape, self._weights)]
        weights = weights or [None] * len(bags)
        for table, bag, weight_P in zip(shape.lists, bags, weights, strict=True):
            ids_N: Any = bag.values
            if ((ids_N < 0) | (ids_N >= table.cardinality)).any():
                return None
            row_N = table.first_row + ids_N
            vector_ND = weight_RD[row_N].astype(np.float32) * scale_R[row_N, np.newaxis]
            pooled = quantize(_pooled(vector_ND, bag.offsets, shape.pooling, weight_P))
            q_BVD[:, table.position], scale_BV[:, table.position] = pooled
        return Quantized(q_BVD, scale_BV)

    def _first(self, dense_BC: Floats) -> Floats:
        weight_OI, bias_O = self._weights["bottom.0.weight"], self._weights["bottom.0.bias"]
        sum_BO = np.repeat(bias_O[np.newaxis], len(dense_BC), axis=0)
        for weight_O, dense_B in zip(weight_OI.T, dense_BC.T, strict=True):
            sum_BO += dense_B[:, np.newaxis] * weight_O
        return _relu(sum_BO)

    def _linear_relu(self, name: str, input_BI: Floats) -> Floats:
        weight_OI = self._weights[f"{name}.weight"]
        q_BI, scale_B = quantize(input_BI)
        sum_BO = q_BI.astype(np.float64) @ weight_OI.T.astype(np.float64)  # exact
        product_BO = sum_BO.astype(np.float32) * scale_B[:, np.newaxis]
        return _relu(product_BO * self._weights[f"{name}.scale"] + self._weights[f"{name}.bias"])

    def _last(self, hidden_BI: Floats) -> Floats:
        weight_I = self._weights["last.weight"][0]
        width = -(-len(weight_I) // _LANES) * _LANES
        padding = width - len(weight_I)
        hidden_BI = np.pad(hidden_BI[:, : len(weight_I)], ((0, 0), (0, padding)))
        weight_I = np.pad(weight_I, (0, padding))
        part = np.zeros((len(hidden_BI), _LANES), np.float32)
        for first in range(0, width, _LANES):
            part += hidden_BI[:, first : first + _LANES] * weight_I[first : first + _LANES]
        while part.shape[1] > 1:
            half = part.shape[1] // 2
            part = part[:, :half] + part[:, half:]
        logit_B: Floats = part[:, 0] + self._weights["last.bias"][0]
        return logit_B


def _interaction(dense_BD: Floats | None, embeddings: Quantized) -> Floats:
    """As `plumbline.dlrm.ops.interaction`, with dots of quantized vectors."""
    q_BVD, scale_BV = embeddings
    rows, features, dim = q_BVD.shape
    if dense_BD is not None:
        dense = quantize(dense_BD)
        q_BVD = np.concatenate([dense.q[:, np.newaxis], q_BVD], axis=1)
        scale_BV = np.concatenate([dense.scale[:, np.newaxis], scale_BV], axis=1)
    # Sums are exact.
    numbers_BVD: NDArray[Any] = q_BVD.astype(np.float32 if dim <= 1024 else np.float64)
    dots_BVV = numbers_BVD @ numbers_BVD.transpose(0, 2, 1)
    later, earlier = np.tril_indices(q_BVD.shape[1], -1)
    scale_BP = scale_BV[:, later] * scale_BV[:, earlier]
    dots_BP = dots_BVV[:, later, earlier].astype(np.float32) * scale_BP
    out_BK = np.zeros((rows, interaction_width(features, dim, dense_BD is not None)), np.float32)
    width = 0 if dense_BD is None else dim
    if dense_BD is not None:
        out_BK[:, :dim] = dense_BD
    out_BK[:, width : width + dots_BP.shape[1]] = dots_BP
    return out_BK


def _pooled(
    vector_ND: Floats, offsets_B1: NDArray[np.int64], pooling: Pooling, weight_P: Floats | None
) -> Floats:
    """In the order of each list, one position of all lists at a time."""
    length_B = np.diff(offsets_B1)
    sum_BD = np.zeros((len(length_B), vector_ND.shape[1]), np.float32)
    for position in range(int(length_B.max(initial=0))):
        longer = np.flatnonzero(length_B > position)
        next_ND = vector_ND[offsets_B1[longer] + position]
        if weight_P is not None:
            next_ND = next_ND * weight_P[min(position, len(weight_P) - 1)]
        if pooling == "max" and position > 0:
            sum_BD[longer] = np.maximum(sum_BD[longer], next_ND)
        else:
            sum_BD[longer] += next_ND
    if pooling == "mean":
        sum_BD *= (np.float32(1) / np.maximum(length_B, 1).astype(np.float32))[:, np.newaxis]
    return sum_BD


def _relu(values: Floats) -> Floats:
    """NaN stays."""
    return np.where(values < 0, np.float32(0), values)
