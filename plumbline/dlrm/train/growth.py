"""Training that goes on from a trained model whose tables have grown.

A new row begins as the row that its value used before, out of vocabulary, so the grown model gives
every value the vector that it had. Its part of the optimizer's state is zero, as that of any new
row.

Legend: R rows of all tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.tensors.tensor_file import under
from plumbline.dlrm.train.embedding_optimizer import STATE
from plumbline.dlrm.train.whole_model import WholeModelTrainer

PARAMETER = "parameter/"
TABLES = "tables.weight"
EMBEDDINGS = "embeddings/"


@dataclass(frozen=True, slots=True)
class Start:
    """What a training goes on from: a trainer's state, and the hash of the model that it is of."""

    model_hash: str
    state: Mapping[str, Tensor]


def optimizer_state(trainer: WholeModelTrainer) -> dict[str, Tensor]:
    """The state of a trainer, averaged or not, without the weights."""
    state = trainer.state()
    live = under("live/", state) or state
    return {name: tensor for name, tensor in live.items() if not name.startswith(PARAMETER)}


@dataclass(frozen=True, slots=True)
class Growth:
    """For each row of the grown tables, int64 (R,): the old row that it begins as, and whether it
    is a new one, bool (R,)."""

    old_row_R: Tensor
    is_new_R: Tensor

    @classmethod
    def of(
        cls, old: Architecture, new: Architecture, ids_before: Mapping[str, NDArray[np.int64]]
    ) -> Growth:
        """`ids_before` has, for a column with new ids, the id that each of their values had, (N,).

        Raises
        ------
        ModelError
            The models differ in more than the number of ids, or a column has lost some.
        """
        _require_same(old, new)
        rows, is_new = [np.empty(0, np.int64)], [np.empty(0, np.bool_)]
        first = accumulate(old.cardinalities, initial=0)
        for name, start, had, has in zip(
            old.categorical, first, old.cardinalities, new.cardinalities, strict=False
        ):
            ids = ids_before.get(name, np.empty(0, np.int64))
            if had + len(ids) != has or (len(ids) and ids.max() >= had):
                raise ModelError.wrong_input(
                    f"Column {name!r}", f"{has - had} new ids", f"{len(ids)}"
                )
            rows.append(start + np.concatenate([np.arange(had), ids]))
            is_new.append(np.repeat([False, True], [had, len(ids)]))
        return cls(torch.from_numpy(np.concatenate(rows)), torch.from_numpy(np.concatenate(is_new)))

    def weights(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The state dict of the grown model, from that of the old one."""
        return {**state, TABLES: state[TABLES].index_select(0, self.old_row_R)}

    def optimizer(self, state: Mapping[str, Tensor], new: Architecture) -> dict[str, Tensor]:
        """The optimizer's state for the grown tables; see `optimizer_state`."""
        grown = dict(state)
        whole = EMBEDDINGS + STATE
        if whole in state:
            grown[whole] = self._rows(state[whole], slice(None))
        ends = list(accumulate(new.cardinalities, initial=0))
        for position, name in enumerate(new.categorical):
            for key, tensor in state.items():
                if key.rpartition("/")[0] == EMBEDDINGS + name:  # a table of its own, as Merlin's
                    of_table = slice(ends[position], ends[position + 1])
                    grown[key] = self._rows(tensor, of_table)
        return grown

    def _rows(self, state: Tensor, of_table: slice) -> Tensor:
        """The state of these rows; `state` is that of the old tables that they are in."""
        old_row, is_new = self.old_row_R[of_table], self.is_new_R[of_table]
        first = 0 if of_table.start is None else int(old_row[0])
        rows = state.index_select(0, old_row - first)
        rows[is_new] = 0
        return rows


def _require_same(old: Architecture, new: Architecture) -> None:
    one, other = old.to_json(), new.to_json()
    differing = [key for key in one.keys() | other.keys() if one.get(key) != other.get(key)]
    changed = sorted(set(differing) - {"cardinalities"})
    if changed:
        raise ModelError(
            f"Model: wanted the settings of the model that training goes on from, got others: "
            f"{', '.join(changed)}. Give the same configuration, or start a new run."
        )
