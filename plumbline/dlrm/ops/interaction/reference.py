"""The specification of the interaction in plain torch, also as `InteractionKernels`.

plumbline/dlrm/ops/interaction/contract.py has the contract and the legend of the names.
"""

from __future__ import annotations

import torch
from torch import Tensor

from plumbline.dlrm.ops.interaction.width import interaction_width


def interaction_reference(dense_BD: Tensor | None, embeddings_BFD: Tensor) -> Tensor:
    """The specification of the operator."""
    has_dense = dense_BD is not None
    _, features, dim = embeddings_BFD.shape
    dot_BNN = _dots(_vectors(dense_BD, embeddings_BFD))
    rows = len(embeddings_BFD)
    index_P = _lower_triangle(features + has_dense, dot_BNN.device)
    parts = [dot_BNN.flatten(1).index_select(1, index_P)]
    if dense_BD is not None:
        parts.insert(0, dense_BD.to(dot_BNN.dtype))
    width = sum(part.shape[1] for part in parts)
    parts.append(dot_BNN.new_zeros(rows, interaction_width(features, dim, has_dense) - width))
    return torch.cat(parts, dim=1).to(embeddings_BFD.dtype)


class ReferenceInteraction:
    """Implements `InteractionKernels` by the specification, on any device."""

    def forward(self, dense_BD: Tensor | None, embeddings_BFD: Tensor, out_BK: Tensor) -> None:
        """Write the result into `out_BK`."""
        out_BK.copy_(interaction_reference(dense_BD, embeddings_BFD))

    def backward(
        self,
        gradient_BK: Tensor,
        dense_BD: Tensor | None,
        embeddings_BFD: Tensor,
        dense_gradient_BD: Tensor | None,
        embedding_gradient_BFD: Tensor,
    ) -> None:
        """Write the inputs' gradients."""
        vector_BND = _vectors(dense_BD, embeddings_BFD)
        rows, vectors, dim = vector_BND.shape
        first = 0 if dense_BD is None else dim
        pairs = vectors * (vectors - 1) // 2
        symmetric_BNN = vector_BND.new_zeros(rows, vectors * vectors)
        symmetric_BNN[:, _lower_triangle(vectors, gradient_BK.device)] = gradient_BK[
            :, first : first + pairs
        ].to(vector_BND.dtype)
        symmetric_BNN = symmetric_BNN.view(rows, vectors, vectors)
        symmetric_BNN = symmetric_BNN + symmetric_BNN.transpose(1, 2)
        gradient_BND = torch.bmm(symmetric_BNN, vector_BND)
        if dense_gradient_BD is None:
            embedding_gradient_BFD.copy_(gradient_BND)
        else:
            dense_gradient_BD.copy_(gradient_BND[:, 0] + gradient_BK[:, :dim])
            embedding_gradient_BFD.copy_(gradient_BND[:, 1:])


def _vectors(dense_BD: Tensor | None, embeddings_BFD: Tensor) -> Tensor:
    """All vectors of each row, (B, N, D), in the dtype of the sums."""
    wide = torch.float64 if embeddings_BFD.dtype == torch.float64 else torch.float32
    embeddings_BFD = embeddings_BFD.to(wide)
    if dense_BD is None:
        return embeddings_BFD.contiguous()
    return torch.cat([dense_BD.to(wide).unsqueeze(1), embeddings_BFD], dim=1)


def _dots(vector_BND: Tensor) -> Tensor:
    return torch.bmm(vector_BND, vector_BND.transpose(1, 2))


def _lower_triangle(vectors: int, device: torch.device) -> Tensor:
    """Indices of the strict lower triangle, row by row, in a flattened (N, N) matrix."""
    row_P, column_P = torch.tril_indices(vectors, vectors, offset=-1, device=device)
    index_P: Tensor = row_P * vectors + column_P
    return index_P
