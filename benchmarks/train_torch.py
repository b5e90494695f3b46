"""DLRM as one writes it in torch today, in the fastest form of each kind that we know.

The tables are one `nn.Embedding` with sparse gradients ... 

Legend: B rows, F embeddings of a row, C continuous columns, D embedding length, N = F + 1 vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, pad

from benchmarks.train_work import LEARNING_RATE, set_first_weights
from dlrm.architecture import Architecture
from dlrm.feed import Batch


class DenseLayers(nn.Module):
    """All of a DLRM but its tables."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.bottom = _mlp(len(architecture.continuous), architecture.bottom_mlp)
        self.top = _mlp(architecture.top_input, architecture.top_mlp)
        self.last = nn.Linear(architecture.top_mlp[-1], 1)
        vectors = len(architecture.categorical) + 1
        row_P, column_P = torch.tril_indices(vectors, vectors, offset=-1)
        self.register_buffer("places_P", row_P * vectors + column_P)
        self.padding = architecture.top_input - architecture.embedding_dim - len(row_P)

    def forward(self, dense_BC: Tensor, embedding_BFD: Tensor) -> Tensor:
        """logit_B, float32."""
        dense_BD = self.bottom(dense_BC)
        vector_BND = torch.cat([dense_BD.unsqueeze(1), embedding_BFD.to(dense_BD.dtype)], dim=1)
        dot_BNN = torch.bmm(vector_BND, vector_BND.transpose(1, 2))
        dot_BP = dot_BNN.flatten(1).index_select(1, self.get_buffer("places_P"))
        zeros_BZ = dot_BP.new_zeros(len(dot_BP), self.padding)
        hidden_BK = torch.cat([dense_BD, dot_BP, zeros_BZ], dim=1)
        logit_B1: Tensor = self.last(self.top(hidden_BK))
        return logit_B1.squeeze(1).float()


def _mlp(width: int, layers: Sequence[int]) -> nn.Sequential:
    stack = nn.Sequential()
    for before, after in zip((width, *layers), layers, strict=False):
        stack.append(nn.Linear(before, after))
        stack.append(nn.ReLU(inplace=True))
    return stack
