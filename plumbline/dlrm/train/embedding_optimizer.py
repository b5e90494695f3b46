"""The optimizer of the embedding rows: updates them in one pass from the gradient of the looked-up
vectors.

Legend: B rows, F columns with one id a row, V id columns in all, R rows of all tables, D embedding
length.

plumbline/dlrm/ops/embedding/contract.py has the formulas and the contract.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import torch
from torch import Tensor

from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.model.embedding_tables import EmbeddingTables
from plumbline.dlrm.ops.dtypes import dtype_name
from plumbline.dlrm.ops.embedding.contract import Bags, IdOutOfRange, RowStep
from plumbline.dlrm.ops.embedding.memory import empty_rows
from plumbline.dlrm.ops.embedding.operator import DTYPES, embedding_kernels, id_faults
from plumbline.dlrm.ops.random_bits import step_keys

Kind = Literal["sgd", "rowwise_adagrad"]

STATE = "mean_square_sum"
"""Name of the state of row-wise Adagrad, float32 (R,)."""


class EmbeddingOptimizer:
    """SGD or row-wise Adagrad on the rows of `tables`.

    On a GPU a step does not wait to learn whether an id is wrong: see `faults` and `check`.

    Parameters
    ----------
    seed
        Seed of the stochastic rounding of bfloat16 rows; unused for float32 rows.
    """

    def __init__(self, tables: EmbeddingTables, kind: Kind, seed: int, eps: float = 1e-8) -> None:
        if kind not in get_args(Kind):
            raise ValueError(
                f"embedding optimizer: wanted {' or '.join(get_args(Kind))}, got {kind!r}"
            )
        self._tables = tables
        self._seed = seed
        self._eps = eps
        self.faults = id_faults(tables.weight.device)
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
        """Apply the gradient of the result of `tables(ids_BF, bags)`.

        Parameters
        ----------
        step
            Number of steps before this one; determines the random bits.
        scale
            Factor on the gradient, applied first, in float32.

        Raises
        ------
        ValueError
            A shape, dtype or device does not fit.
        ModelError
            An id is out of range; no row has changed then. On a GPU `check` raises it.
        """
        tables = self._tables
        columns = tables.columns(ids_BF, bags)
        _check_gradient(gradient_BVD, tables, len(ids_BF))
        row_step = RowStep(learning_rate, self._eps, scale, *step_keys(self._seed, step))
        weight_RD = tables.weight.detach()
        try:
            embedding_kernels(weight_RD.device, self.faults).update(
                weight_RD, self._state_R, columns, gradient_BVD.contiguous(), row_step
            )
        except IdOutOfRange as error:
            raise tables.named(error) from None

    def check(self) -> None:
        """Raise for a wrong id in a step on a GPU, as `step` does on a CPU; waits for the GPU.

        Since the step with that id, no step has changed a row.
        """
        if self.faults is None:
            return
        try:
            self.faults.raise_first()
        except IdOutOfRange as error:
            raise self._tables.named(error) from None

    def state(self) -> dict[str, Tensor]:
        """Name to tensor: `mean_square_sum`, float32 (R,), of row-wise Adagrad; SGD has none."""
        return {} if self._state_R is None else {STATE: self._state_R}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state()` returned, from any device.

        Raises
        ------
        ModelError
            The state is from another kind of optimizer, or from other tables.
        """
        wanted, got = _layouts(self.state()), _layouts(state)
        if wanted != got:
            raise ModelError.wrong_input("The embedding optimizer's state", str(wanted), str(got))
        if self._state_R is not None:
            self._state_R.copy_(state[STATE])


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
            f"{dtype_name(gradient_BVD.dtype)} on {gradient_BVD.device}"
        )


def _layouts(state: Mapping[str, Tensor]) -> dict[str, str]:
    return {name: f"{tuple(tensor.shape)} {tensor.dtype}" for name, tensor in state.items()}
