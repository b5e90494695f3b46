"""TorchRec's tables for `TorchTrainer`, as one FBGEMM batch that is updated in the backward pass.

TorchRec and FBGEMM are of requirements-distributed.lock.

Legend: B rows, F id columns, D embedding length.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.optim import SGD, Optimizer
from torchrec.modules.embedding_configs import EmbeddingBagConfig
from torchrec.modules.fused_embedding_modules import FusedEmbeddingBagCollection
from torchrec.sparse.jagged_tensor import KeyedJaggedTensor

from benchmarks.train_torch import Tables
from benchmarks.train_work import LEARNING_RATE
from plumbline.dlrm.model.architecture import Architecture


class TorchRecTables(Tables):
    """Each column is a summed bag of one id, because FBGEMM has no kernels for single ids."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.names = list(architecture.categorical)
        self.dim = architecture.embedding_dim
        configs = [
            EmbeddingBagConfig(
                name=name, embedding_dim=self.dim, num_embeddings=rows, feature_names=[name]
            )
            for name, rows in zip(self.names, architecture.cardinalities, strict=True)
        ]
        # SGD becomes FBGEMM's EXACT_SGD: duplicates are summed, then each row is updated once.
        self.collection = FusedEmbeddingBagCollection(configs, SGD, {"lr": LEARNING_RATE})

    def weights(self) -> list[Tensor]:
        bags = self.collection.embedding_bags
        return [bags[name].get_parameter("weight") for name in self.names]

    def optimizers(self) -> list[Optimizer]:
        return []

    def forward(self, ids_BF: Tensor) -> Tensor:
        """embedding_BFD, float32, FBGEMM's only output type on a CPU."""
        lengths = torch.ones(ids_BF.numel(), dtype=torch.int32)
        features = KeyedJaggedTensor(self.names, ids_BF.t().reshape(-1), lengths=lengths)
        embedding_BX: Tensor = self.collection(features).values()
        return embedding_BX.view(len(ids_BF), len(self.names), self.dim)
