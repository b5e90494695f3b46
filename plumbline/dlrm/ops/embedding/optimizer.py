"""The embedding rows' optimizer: from the operator's gradient to changed rows in one pass.

Legend: B rows, F columns with one id a row, V id columns in all, R rows of all tables, D embedding
length.

Contract, for every form of it. For each row r of `weight_RD` that the batch's ids name

    g = scale · Σ gradient[b, v]        over its occurrences, in order of b and place in the list,
                                        each times 1 / length in lists that give their mean
    SGD:               w ← w − learning_rate · g
    row-wise Adagrad:  s ← s + mean(g²);   w ← w − learning_rate / (√s + eps) · g

all in float32, from gradients of float32, bfloat16 or float16. Duplicates are summed before they
are squared. s is one number a row, as in FBGEMM's exact row-wise Adagrad. Rows without an id in the
batch are neither read nor written. The result does not depend on the number of threads. Forms
differ from each other within the rounding of the sums, never in the random bits.

A bfloat16 row is written with stochastic rounding, so that steps smaller than half of its spacing
are kept in the mean. The random bits are a hash of seed, step and the element's place in the
buffer: `stochastically_rounded` in plumbline/dlrm/ops/embedding/reference.py, the specification of
all this.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from plumbline.columns.splitmix64 import GOLDEN, splitmix64
from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.ops.embedding.interface import IdOutOfRange
from plumbline.dlrm.ops.embedding.memory import empty_rows
from plumbline.dlrm.ops.embedding.operator import DTYPES, Bags, EmbeddingTables, embedding_kernels

Kind = Literal["sgd", "rowwise_adagrad"]

STATE = "mean_square_sum"
"""Name of the state of row-wise Adagrad, float32 (R,)."""


class EmbeddingOptimizer:
    """SGD or row-wise Adagrad on the rows of `tables`.

    Parameters
    ----------
    seed
        Of the stochastic rounding of bfloat16 rows; float32 rows do not use it.
    """

    def __init__(self, tables: EmbeddingTables, kind: Kind, seed: int, eps: float = 1e-8) -> None:
        if kind not in get_args(Kind):
            raise ValueError(
                f"embedding optimizer: wanted {' or '.join(get_args(Kind))}, got {kind!r}"
            )
        self._tables = tables
        self._seed = seed
        self._eps = eps
        self._state_R: Tensor | None = None
        if kind == "rowwise_adagrad":
            self._state_R = _zeros(len(tables.weight), tables.weight.device)

    def step(
        self,
        ids_BF: Tensor,
        bags: Bags,
        gradient_BVD: Tensor,
        learning_rate: float,
        step: int,
        scale: float = 1.0,
    ) -> None:
        """Apply the gradient of what `tables(ids_BF, bags)` gave.

        Parameters
        ----------
        step
            Number of steps before this one: it decides the random bits.
        scale
            What the gradient is multiplied by first, in float32.

        Raises
        ------
        ValueError
            A shape, dtype or device that does not fit.
        ModelError
            An id that its column has no row for; no row has changed then.
        """
        tables = self._tables
        columns = tables.columns(ids_BF, bags)
        _check_gradient(gradient_BVD, tables, len(ids_BF))
        k0, k1 = rounding_keys(self._seed, step)
        weight_RD = tables.weight.detach()
        try:
            embedding_kernels(weight_RD.device).update(
                weight_RD,
                self._state_R,
                columns,
                gradient_BVD.contiguous(),
                learning_rate,
                self._eps,
                scale,
                k0,
                k1,
            )
        except IdOutOfRange as error:
            raise tables.named(error) from None

    def state(self) -> dict[str, Tensor]:
        """Name to tensor: `mean_square_sum`, float32 (R,), of row-wise Adagrad; SGD has none."""
        return {} if self._state_R is None else {STATE: self._state_R}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take up a state that `state()` gave, from any device.

        Raises
        ------
        ModelError
            The state of another kind of optimizer, or of other tables.
        """
        wanted, came = _forms(self.state()), _forms(state)
        if wanted != came:
            raise ModelError.wrong_input("The embedding optimizer's state", str(wanted), str(came))
        if self._state_R is not None:
            self._state_R.copy_(state[STATE])


def rounding_keys(seed: int, step: int) -> tuple[int, int]:
    """k0 and k1 of a step, 32 bits each: the low and the high half of a `splitmix64` number."""
    state = (seed * GOLDEN + step + 1) % 2**64
    mixed = int(splitmix64(np.array([state], np.uint64))[0])
    return mixed & 0xFFFFFFFF, mixed >> 32


def _zeros(count: int, device: torch.device) -> Tensor:
    if device.type == "cpu":
        return empty_rows((count,), torch.float32).zero_()
    return torch.zeros(count, dtype=torch.float32, device=device)


def _check_gradient(gradient_BVD: Tensor, tables: EmbeddingTables, rows: int) -> None:
    weight_RD = tables.weight
    wanted = (rows, len(tables.cardinalities), weight_RD.shape[1])
    fits = gradient_BVD.shape == wanted and gradient_BVD.dtype in DTYPES
    if not fits or gradient_BVD.device != weight_RD.device:
        raise ValueError(
            f"embedding optimizer: wanted a gradient of shape {wanted}, of float32, bfloat16 or "
            f"float16, on {weight_RD.device}, got {tuple(gradient_BVD.shape)}, "
            f"{str(gradient_BVD.dtype).removeprefix('torch.')} on {gradient_BVD.device}"
        )


def _forms(state: Mapping[str, Tensor]) -> dict[str, str]:
    return {name: f"{tuple(tensor.shape)} {tensor.dtype}" for name, tensor in state.items()}
