"""DLRM in plain torch: the canonical form, whose weights are stored and served.

Legend: B rows, F columns with one id a row, V id columns in all, N ids of a list column, C
continuous columns, D embedding length, K width of the interaction.

Naumov et al. 2019, "Deep Learning Recommendation Model for Personalization and Recommendation
Systems", https://arxiv.org/abs/1906.00091.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag

from dlrm.architecture import Architecture
from dlrm.interaction import interaction

BagIds: TypeAlias = tuple[Tensor, Tensor]
"""A list column's ids: ids_N and offsets_B1, both int64; row b has ids_N[offsets[b]:offsets[b+1]].
"""


class DLRM(nn.Module):
    """Bottom MLP over the floats, an embedding a categorical column, their dots, the top MLP.

    Every layer of both MLPs is followed by ReLU; one more linear layer gives the logit. Without
    continuous columns the dots of the embeddings alone go into the top MLP; without categorical
    ones the bottom MLP's output does.

    Parameters
    ----------
    seed
        The weights are drawn from it, on the CPU, so they are the same for every device. None
        leaves them on the meta device, to be filled by `load_state_dict(..., assign=True)`.
    """

    def __init__(self, architecture: Architecture, seed: int | None) -> None:
        super().__init__()
        self.architecture = architecture
        self._is_list = [name in architecture.bags for name in architecture.categorical]
        with torch.device("meta"):
            self.tables = nn.ModuleList(
                nn.Embedding(rows, architecture.embedding_dim, sparse=True)
                for rows in architecture.cardinalities
            )
            self.bottom = _mlp(len(architecture.continuous), architecture.bottom_mlp)
            self.top = _mlp(architecture.top_input, architecture.top_mlp)
            self.last = nn.Linear((architecture.top_input, *architecture.top_mlp)[-1], 1)
        if seed is not None:
            self.to_empty(device="cpu")
            _initialize(self, torch.Generator().manual_seed(seed))

    def forward(self, ids_BF: Tensor, dense_BC: Tensor, bags: Sequence[BagIds] = ()) -> Tensor:
        """logit_B, float32, from int64 ids below the cardinalities and float32 values.

        `bags` are the list columns' ids in plan order; the columns of `ids_BF` are the others.
        """
        dense_BD = self.bottom(dense_BC) if self.architecture.continuous else None
        if self.architecture.categorical:
            hidden_BK = interaction(dense_BD, self._embeddings(ids_BF, bags))
        else:
            hidden_BK = dense_BD
        logit_B1: Tensor = self.last(self.top(hidden_BK))
        return logit_B1.squeeze(1)

    def _embeddings(self, ids_BF: Tensor, bags: Sequence[BagIds]) -> Tensor:
        """embedding_BVD, in plan order of all id columns."""
        single, lists = iter(ids_BF.unbind(1)), iter(bags)
        return torch.stack(
            [
                self._bag(table, *next(lists)) if is_list else table(next(single))
                for table, is_list in zip(self.tables, self._is_list, strict=True)
            ],
            dim=1,
        )

    def _bag(self, table: nn.Module, ids_N: Tensor, offsets_B1: Tensor) -> Tensor:
        vector_BD: Tensor = embedding_bag(
            ids_N,
            cast(Tensor, table.weight),
            offsets_B1,
            mode=self.architecture.bag,
            sparse=True,
            include_last_offset=True,
        )
        return vector_BD


def _mlp(width: int, layers: Sequence[int]) -> nn.Sequential:
    stack = nn.Sequential()
    for before, after in zip((width, *layers), layers, strict=False):
        stack.append(nn.Linear(before, after))
        stack.append(nn.ReLU())
    return stack


@torch.no_grad()
def _initialize(model: DLRM, generator: torch.Generator) -> None:
    """W, b ~ U(±1/√in), torch's own for linear layers; embedding rows ~ N(0, 0.01²).

    On Criteo's logs this gave a better validation AUC than the DLRM authors' W ~ N(0, 2/(in+out)),
    b ~ N(0, 1/out), rows ~ U(±1/√number of rows): see docs/log.md.
    """
    for module in model.modules():
        if isinstance(module, nn.Linear):
            bound = 1 / math.sqrt(module.in_features)
            module.weight.uniform_(-bound, bound, generator=generator)
            module.bias.uniform_(-bound, bound, generator=generator)
        elif isinstance(module, nn.Embedding):
            module.weight.normal_(0.0, 0.01, generator=generator)
