"""DLRM: the canonical model, which is trained, stored and served.

Legend: B rows, F columns with one id a row, V id columns in all, N ids of a list column, C
continuous columns, D embedding length, K width of the interaction.

Naumov et al. 2019, "Deep Learning Recommendation Model for Personalization and Recommendation
Systems", https://arxiv.org/abs/1906.00091.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.model.dropout import Dropout
from plumbline.dlrm.model.embedding_tables import INITIAL_DEVIATION, EmbeddingTables
from plumbline.dlrm.model.layers import mlp
from plumbline.dlrm.ops.embedding.contract import Bags
from plumbline.dlrm.ops.interaction.operator import interaction


class Layers(nn.Module):
    """A bottom MLP over the floats, the dots of its output and the embeddings, a top MLP.

    ReLU follows every layer of both MLPs; one more linear layer gives the logit. Without continuous
    columns the top MLP gets only the dots of the embeddings; without categorical columns it gets
    the bottom MLP's output. The layers are on the meta device until `initialize_layers_`.

    Parameters
    ----------
    tables
        What gives the embeddings, which `logits` takes; the first part of the module.
    """

    def __init__(self, architecture: Architecture, tables: nn.Module) -> None:
        super().__init__()
        self.architecture = architecture
        self.tables = tables
        with torch.device("meta"):
            self.bottom = mlp(len(architecture.continuous), architecture.bottom_mlp)
            self.top = mlp(architecture.top_input, architecture.top_mlp)
            self.last = nn.Linear((architecture.top_input, *architecture.top_mlp)[-1], 1)

    @torch.no_grad()
    def initialize_layers_(self, generator: torch.Generator) -> None:
        """Draw W, b ~ U(±1/√in), torch's default for linear layers, on the CPU.

        On Criteo's logs this, with embedding rows ~ N(0, deviation²), gave a better validation AUC
        than the DLRM authors' W ~ N(0, 2/(in+out)), b ~ N(0, 1/out), rows ~ U(±1/√number of rows):
        see docs/log.md.
        """
        for part in (self.bottom, self.top, self.last):
            part.to_empty(device="cpu")
            for module in part.modules():
                if isinstance(module, nn.Linear):
                    bound = 1 / math.sqrt(module.in_features)
                    module.weight.uniform_(-bound, bound, generator=generator)
                    module.bias.uniform_(-bound, bound, generator=generator)

    def logits(
        self, vector_BVD: Tensor, dense_BC: Tensor, dropout: Dropout | None = None
    ) -> Tensor:
        """logit_B, float32, from the id columns' vectors, in plan order, and the float32 values.

        The layers compute in the vectors' dtype, the last one in float32. In training, `dropout`
        follows each layer of the top MLP.
        """
        dense_BD = None
        if self.architecture.continuous:
            dense_BD = self.bottom(dense_BC.to(vector_BVD.dtype))
        hidden_BK: Any = dense_BD
        if self.architecture.categorical:
            hidden_BK = interaction(dense_BD, vector_BVD)
        for layer in self.top:
            hidden_BK = layer(hidden_BK) if dropout is None else dropout(layer(hidden_BK))
        logit_B1: Tensor = self.last(hidden_BK.float())
        return logit_B1.squeeze(1)


class DLRM(Layers):
    """`Layers` over one embedding per categorical column.

    The embedding tables are one buffer outside autograd: training takes the gradient of the
    looked-up vectors and passes it to `plumbline.dlrm.train.embedding_optimizer`.

    Parameters
    ----------
    seed
        Seed of the initial weights, which are drawn on the CPU and so are equal on every device.
        None leaves them on the meta device; see `of_weights`.
    embedding_deviation
        Standard deviation of the initial embedding rows.
    """

    def __init__(
        self,
        architecture: Architecture,
        seed: int | None,
        embedding_deviation: float = INITIAL_DEVIATION,
    ) -> None:
        with torch.device("meta"):
            tables = EmbeddingTables(architecture, architecture.embedding_rows)
        super().__init__(architecture, tables)
        self.tables: EmbeddingTables
        if seed is not None:
            generator = torch.Generator().manual_seed(seed)
            self.tables.initialize_(generator, embedding_deviation)
            self.initialize_layers_(generator)

    @classmethod
    def of_weights(cls, architecture: Architecture, state: Mapping[str, Tensor]) -> DLRM:
        """A model with the weights of a state dict, in their memory and on their device."""
        model = cls(architecture, seed=None)
        model.load_state_dict(state, assign=True)
        model.tables.move_offsets()
        return model

    def forward(self, ids_BF: Tensor, dense_BC: Tensor, bags: Bags = ()) -> Tensor:
        """logit_B, float32, from int64 ids below the cardinalities and float32 values.

        `bags` holds the list columns' ids in plan order; `ids_BF` holds the other id columns.
        """
        return self.logits(self.tables(ids_BF, bags), dense_BC)
