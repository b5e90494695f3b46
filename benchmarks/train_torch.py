"""DLRM in ordinary torch, in the fastest version of each part that we know.

One `nn.Embedding` with sparse gradients per column, so a step touches only the rows of the batch;
the interaction by `bmm` and `index_select`; torch's fused SGD if it supports the parameters.
`torch.compile` gets everything except the tables, because it does not support sparse gradients.

Legend: B rows, F id columns, C continuous columns, D embedding length, N = F + 1 vectors, P pairs
of them, K width of the interaction.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.optim import SGD, Optimizer

from benchmarks.train_work import LEARNING_RATE, set_first_weights
from plumbline.dlrm.data.loader import Batch
from plumbline.dlrm.model.architecture import Architecture


class Layers(nn.Module):
    """A DLRM without its tables."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.bottom = _mlp(len(architecture.continuous), architecture.bottom_mlp)
        self.top = _mlp(architecture.top_input, architecture.top_mlp)
        self.last = nn.Linear(architecture.top_mlp[-1], 1)
        vectors = len(architecture.categorical) + 1
        row_P, column_P = torch.tril_indices(vectors, vectors, offset=-1)
        self.register_buffer("places_P", row_P * vectors + column_P)
        self.padding = architecture.top_input - architecture.embedding_dim - len(row_P)

    def forward(self, embedding_BFD: Tensor, dense_BC: Tensor) -> Tensor:
        """logit_B, float32."""
        dense_BD = self.bottom(dense_BC)
        vector_BND = torch.cat([dense_BD.unsqueeze(1), embedding_BFD.to(dense_BD.dtype)], dim=1)
        dot_BNN = torch.bmm(vector_BND, vector_BND.transpose(1, 2))
        dot_BP = dot_BNN.flatten(1).index_select(1, self.get_buffer("places_P"))
        padding = dot_BP.new_zeros(len(dot_BP), self.padding)
        hidden_BK = torch.cat([dense_BD, dot_BP, padding], dim=1)
        logit_B1: Tensor = self.last(self.top(hidden_BK))
        return logit_B1.squeeze(1).float()


class Tables(nn.Module, ABC):
    """The embedding tables of a DLRM; a call with ids_BF returns embedding_BFD, float32."""

    @abstractmethod
    def weights(self) -> list[Tensor]:
        """rows_RD of each column, in plan order."""

    @abstractmethod
    def optimizers(self) -> list[Optimizer]:
        """The optimizers to step; none if the backward pass updates the rows."""


class SeparateTables(Tables):
    """One `nn.Embedding` per column; all rows are in one buffer."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        weight_RD = torch.empty(sum(architecture.cardinalities), architecture.embedding_dim)
        self.columns = nn.ModuleList(
            nn.Embedding.from_pretrained(rows_RD, freeze=False, sparse=True)
            for rows_RD in weight_RD.split(list(architecture.cardinalities))
        )

    def weights(self) -> list[Tensor]:
        return [column.get_parameter("weight") for column in self.columns]

    def optimizers(self) -> list[Optimizer]:
        return [SGD(self.parameters(), lr=LEARNING_RATE)]

    def forward(self, ids_BF: Tensor) -> Tensor:
        id_B_of = ids_BF.unbind(1)
        return torch.stack([c(id_B) for c, id_B in zip(self.columns, id_B_of, strict=True)], dim=1)


class TorchTrainer:
    """A DLRM in training.

    Parameters
    ----------
    bf16
        The layers run under torch's autocast to bfloat16.
    """

    def __init__(
        self, architecture: Architecture, tables: Tables, *, bf16: bool, compiled: bool
    ) -> None:
        self.layers = Layers(architecture)
        self.tables = tables
        set_first_weights(architecture, self.layers, tables.weights())
        self._bf16 = bf16
        self._forward = torch.compile(self.layers) if compiled else self.layers
        self._optimizers = [
            SGD(self.layers.parameters(), lr=LEARNING_RATE, fused=True),
            *tables.optimizers(),
        ]

    def logits(self, batch: Batch) -> Tensor:
        """logit_B, float32."""
        embedding_BFD = self.tables(batch.ids_BF)
        with torch.autocast("cpu", torch.bfloat16, enabled=self._bf16):
            logit_B: Tensor = self._forward(embedding_BFD, batch.dense_BC)
        return logit_B

    def step(self, batch: Batch) -> Tensor:
        """Train on a batch; returns its mean loss before the step, a scalar."""
        loss = binary_cross_entropy_with_logits(self.logits(batch), batch.click_B)
        for optimizer in self._optimizers:
            optimizer.zero_grad()
        loss.backward()
        for optimizer in self._optimizers:
            optimizer.step()
        return loss.detach()


def _mlp(width: int, layers: Sequence[int]) -> nn.Sequential:
    stack = nn.Sequential()
    for before, after in pairwise((width, *layers)):
        stack.append(nn.Linear(before, after))
        stack.append(nn.ReLU(inplace=True))
    return stack
