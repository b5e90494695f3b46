"""A DLRM whose tables are sharded over several processes, and the inputs of a process.

Legend: B rows of the process, M rows of every process with empty ones behind them, F columns with
one id a row, V id columns in all, N ids of a list column, C continuous columns, D embedding length.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad
from torchrec.modules.embedding_modules import EmbeddingBagCollection
from torchrec.sparse.jagged_tensor import KeyedJaggedTensor

from plumbline.dlrm.data.loader import Batch
from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.model.dlrm import Layers
from plumbline.dlrm.model.dropout import Dropout
from plumbline.dlrm.processes.sharding import names_of


@dataclass(frozen=True, slots=True)
class Inputs:
    """A process' rows of a batch, on the model's device, with as many as every other process has.

    `scale_MV1` divides the sums of lists that are means.
    """

    features: KeyedJaggedTensor
    dense_MC: Tensor
    scale_MV1: Tensor | None


class ShardedModel(Layers):
    """`tables` has sums of bags; a single id is a bag of one."""

    def __init__(self, architecture: Architecture, tables: EmbeddingBagCollection) -> None:
        super().__init__(architecture, tables)
        self._names = names_of(architecture)

    def forward(self, inputs: Inputs, dtype: torch.dtype, dropout: Dropout | None = None) -> Tensor:
        """logit_M, float32. All processes have to call it."""
        vectors = self.tables(inputs.features).to_dict()
        vector_MVD = torch.stack([vectors[name] for name in self._names], 1)
        if inputs.scale_MV1 is not None:
            vector_MVD = vector_MVD * inputs.scale_MV1
        return self.logits(vector_MVD.to(dtype), inputs.dense_MC, dropout)


def inputs_of(architecture: Architecture, batch: Batch, device: torch.device) -> Inputs:
    """The model's inputs from this process' share of a batch, whose tensors are on the CPU.

    Raises
    ------
    ModelError
        An id is out of its column's range.
    """
    rows = len(batch.click_B)
    padding = (rows if batch.share is None else batch.share.longest) - rows
    single = iter(batch.ids_BF.unbind(1))
    lists = iter(batch.bags)
    ids_of, lengths_of = [], []
    for name, cardinality in zip(architecture.categorical, architecture.cardinalities, strict=True):
        if name in architecture.bags:
            ids_N, offsets_B1 = next(lists)
            length_B = offsets_B1.diff()
        else:
            ids_N = next(single)
            length_B = torch.ones(rows, dtype=torch.int64)
        _check_ids(name, ids_N, cardinality)
        ids_of.append(ids_N)
        lengths_of.append(pad(length_B, (0, padding)))
    length_VM = torch.stack(lengths_of)
    features = KeyedJaggedTensor(
        names_of(architecture), torch.cat(ids_of), lengths=length_VM.flatten().int()
    )
    scale_MV1 = None
    if architecture.bags and architecture.bag == "mean":
        scale_MV1 = length_VM.T.clamp(min=1).float().reciprocal().unsqueeze(2).to(device)
    dense_MC = pad(batch.dense_BC, (0, 0, 0, padding))
    return Inputs(features.to(device), dense_MC.to(device), scale_MV1)


def _check_ids(name: str, ids_N: Tensor, cardinality: int) -> None:
    wrong_N = (ids_N < 0) | (ids_N >= cardinality)
    if wrong_N.any():
        raise ModelError.id_out_of_range(name, int(ids_N[wrong_N][0]), cardinality)
