"""DLRM as a `merlin.models.torch.DLRMModel`, and the conversion of weights between the two.

Merlin passes vectors to the interaction module sorted by name, with the bottom MLP's output among
them as "continuous", and prepends that output to the result. It also concatenates the continuous
columns in sorted order. This module restores plan order: `DotInteraction` for the vectors, and a
permutation of the first layer's weights for the continuous columns. So the stored weights are
independent of Merlin.

Merlin's table of a list column takes ids and offsets as separately named inputs, computes the mean
only, and has dense gradients. `_Bag` replaces it, to support the sum and sparse gradients.

Legend: B rows, F columns with one id a row, C continuous columns, D embedding length, N vectors of
a row, K width of the interaction without its dense part.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, embedding_bag

from plumbline.base.errors import ConfigError
from plumbline.base.merlin_imports import merlin_imports
from plumbline.dlrm.data.merlin_loader import LIST_SUFFIXES
from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.model.dlrm import DLRM
from plumbline.dlrm.model.embedding_tables import INITIAL_DEVIATION
from plumbline.dlrm.ops.embedding.contract import Bags
from plumbline.dlrm.ops.embedding.reference import row_of_each
from plumbline.dlrm.ops.interaction.operator import interaction

with merlin_imports():
    import merlin.models.torch as mm

BOTTOM = "continuous"
"""Merlin's name of the bottom MLP's output among the embeddings."""


@contextmanager
def without_merlin_warnings() -> Iterator[None]:
    """A context that hides two warnings that every step of Merlin's model raises.

    Merlin calls `torch.jit.isinstance` outside a script, and creates sparse gradients without
    torch's invariant checks.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The inner type of a container is lost")
        warnings.filterwarnings("ignore", message="Sparse invariant checks are implicitly disabled")
        yield


class DotInteraction(nn.Module):
    """`plumbline::interaction` as the interaction module of Merlin's DLRM.

    The input is the (B, N, D) stack, sorted by name. The output is (B, K): the operator's result
    without its dense part, which Merlin prepends.
    """

    def __init__(self, categorical: Sequence[str], has_dense: bool) -> None:
        super().__init__()
        self.has_dense = has_dense
        plan_order = [BOTTOM, *categorical] if has_dense else list(categorical)
        sorted_order = sorted(plan_order)
        order = torch.tensor([sorted_order.index(name) for name in plan_order])
        self.register_buffer("order", order, persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        vector_BND = inputs.index_select(1, self.get_buffer("order"))
        if not self.has_dense:
            dot_BK: Tensor = interaction(None, vector_BND)
        else:
            dim = vector_BND.shape[2]
            dot_BK = interaction(vector_BND[:, 0], vector_BND[:, 1:])[:, dim:]
        return dot_BK


class _Bag(mm.EmbeddingTable):
    """Merlin's embedding table, with sparse gradients for lists too."""

    def forward_bag(self, inputs: Tensor, offsets: Tensor | None = None) -> Tensor:
        weight = self.get_parameter("table.weight")
        if self.seq_combiner == "max" and offsets is not None:
            return _maximum(inputs, offsets, weight)
        vector_BD: Tensor = embedding_bag(
            inputs, weight, offsets, mode=str(self.seq_combiner), sparse=True
        )
        return vector_BD


def _maximum(ids_N: Tensor, offsets_B: Tensor, weight: Tensor) -> Tensor:
    """vector_BD, differentiable; torch's bag has no sparse gradient of a maximum."""
    vector_ND = embedding(ids_N, weight, sparse=True)
    row_N = row_of_each(torch.cat([offsets_B, offsets_B.new_full((1,), len(ids_N))]), len(ids_N))
    nothing_BD = vector_ND.new_zeros(len(offsets_B), weight.shape[1])
    index_ND = row_N.unsqueeze(1).expand_as(vector_ND)
    return nothing_BD.scatter_reduce(0, index_ND, vector_ND, "amax", include_self=False)


class MerlinDLRM(nn.Module):
    """A Merlin model called like `DLRM`: `forward(ids_BF, dense_BC, bags) -> logit_B`."""

    def __init__(
        self,
        architecture: Architecture,
        model: Any,
        bottom: nn.Module | None,
        top: nn.Module | None,
        last: nn.Module,
    ) -> None:
        super().__init__()
        self.architecture = architecture
        self.model = model
        self._parts = (bottom, top, last)

    def forward(self, ids_BF: Tensor, dense_BC: Tensor, bags: Bags = ()) -> Tensor:
        """logit_B, float32; the columns of all inputs are in plan order."""
        inputs = dict(zip(self.architecture.single, ids_BF.unbind(1), strict=True))
        for name, parts in zip(self.architecture.bags, bags, strict=True):
            inputs |= {
                name + suffix: part for suffix, part in zip(LIST_SUFFIXES, parts, strict=True)
            }
        inputs |= dict(zip(self.architecture.continuous, dense_BC.unbind(1), strict=True))
        logit_B1: Tensor = self.model(inputs)
        return logit_B1.squeeze(1)

    def tables(self) -> list[nn.Embedding]:
        """The embedding tables, in plan order."""
        tables = _tables(self.model)
        return [tables[name] for name in self.architecture.categorical]

    def table_parameters(self) -> dict[str, nn.Parameter]:
        """The embedding tables' weights by column name, in plan order."""
        named: dict[str, Any] = {
            name: table.weight
            for name, table in zip(self.architecture.categorical, self.tables(), strict=True)
        }
        return named

    def dense_parameters(self) -> dict[str, nn.Parameter]:
        """All other parameters, by their names in `DLRM`."""
        named: dict[str, Any] = {}
        for part, module in zip(("bottom", "top", "last"), self._parts, strict=True):
            for position, layer in enumerate(_linears(module)):
                prefix = part if part == "last" else f"{part}.{position}"
                named[f"{prefix}.weight"] = layer.weight
                named[f"{prefix}.bias"] = layer.bias
        return named


def build_merlin(
    architecture: Architecture,
    schema: Any,
    seed: int,
    embedding_deviation: float = INITIAL_DEVIATION,
) -> MerlinDLRM:
    """Merlin's DLRM with our interaction and a logit output.

    Its weights are those of `DLRM(architecture, seed, embedding_deviation)`, and its embeddings
    have sparse gradients. Merlin's DLRM rejects a schema without categorical columns; a Merlin
    `Model` of the two MLPs then takes its place.

    Parameters
    ----------
    schema
        A `merlin.schema.Schema` of the columns: CONTINUOUS, or CATEGORICAL with an int domain that
        ends at cardinality - 1 and has its own name.

    Raises
    ------
    ConfigError
        A column has a name that Merlin does not support.
    ModelError
        The schema does not fit the architecture.
    """
    _check_architecture(architecture)
    bottom: Any = mm.MLPBlock(architecture.bottom_mlp) if architecture.continuous else None
    top = mm.MLPBlock(architecture.top_mlp) if architecture.top_mlp else None
    last = mm.ModelOutput(nn.LazyLinear(1), loss=nn.BCEWithLogitsLoss(), metrics=[])
    with torch.random.fork_rng(devices=[]):  # Merlin draws initial weights, which are replaced
        if architecture.categorical:
            model: Any = mm.DLRMModel(
                schema,
                dim=architecture.embedding_dim,
                bottom_block=bottom,
                top_block=top,
                interaction=DotInteraction(architecture.categorical, bottom is not None),
                output_block=last,
            )
        else:
            model = mm.Model(*[block for block in (bottom, top, last) if block is not None])
        _take_bags(model, architecture, schema)
        built = MerlinDLRM(architecture, model, bottom, top, last)
        _check_schema(built, schema)
        _give_lazy_layers_their_width(built)
    for table in built.tables():
        table.sparse = True
    load_canonical(built, DLRM(architecture, seed, embedding_deviation).state_dict())
    return built


@torch.no_grad()
def to_canonical(merlin_model: MerlinDLRM) -> dict[str, Tensor]:
    """State dict for `DLRM`; shares memory with the model if possible."""
    state = {name: p.detach() for name, p in merlin_model.dense_parameters().items()}
    tables = [table.detach() for table in merlin_model.table_parameters().values()]
    architecture = merlin_model.architecture
    none = state["last.weight"].new_empty(0, architecture.embedding_dim)
    state["tables.weight"] = torch.cat([none, *tables])
    if architecture.continuous:
        first = state["bottom.0.weight"]
        order = _sorted_order(architecture.continuous).to(first.device)
        state["bottom.0.weight"] = first.index_select(1, order)
    return state


@torch.no_grad()
def load_canonical(merlin_model: MerlinDLRM, state: Mapping[str, Tensor]) -> None:
    """Copy a state dict of `DLRM` into the model; raises ModelError if the names differ."""
    parameters = merlin_model.dense_parameters()
    wanted = {"tables.weight", *parameters}
    if wanted != set(state):
        raise ModelError(
            "DLRM weights: wanted the parameters of the same architecture, but these are in only "
            f"one of the two: {', '.join(sorted(wanted ^ set(state)))}."
        )
    architecture = merlin_model.architecture
    rows = state["tables.weight"].split(architecture.cardinalities)
    for table, values in zip(merlin_model.tables(), rows, strict=True):
        table.weight.copy_(values)
    for name, parameter in parameters.items():
        values = state[name]
        if name == "bottom.0.weight":
            order = torch.argsort(_sorted_order(architecture.continuous))
            values = values.index_select(1, order.to(values.device))
        parameter.copy_(values)


def _sorted_order(names: Sequence[str]) -> Tensor:
    """Index among the sorted names of each name in plan order."""
    ordered = sorted(names)
    return torch.tensor([ordered.index(name) for name in names])


def _linears(module: nn.Module | None) -> list[nn.Linear]:
    if module is None:
        return []
    return [layer for layer in module.modules() if isinstance(layer, nn.Linear)]


def _tables(model: nn.Module) -> dict[str, nn.Embedding]:
    """Embedding table by column."""
    modules: list[Any] = [m for m in model.modules() if isinstance(m, mm.EmbeddingTable)]
    return {name: module.table for module in modules for name in module.feature_to_domain}


def _take_bags(model: nn.Module, architecture: Architecture, schema: Any) -> None:
    """Replace each list column's table in Merlin's model by a `_Bag`."""
    for block in [m for m in model.modules() if isinstance(m, mm.EmbeddingTables)]:
        for name in architecture.bags:
            bag = _Bag(architecture.embedding_dim, schema[name], seq_combiner=architecture.bag)
            block.branches[name] = bag


def _check_architecture(architecture: Architecture) -> None:
    if architecture.embedding_rows != "fp32":
        raise ConfigError(
            f"model.embedding_rows {architecture.embedding_rows}: Merlin's DLRM has fp32 rows. "
            "Use --model fused, or fp32."
        )
    if architecture.bag == "position_weighted":
        raise ConfigError(
            "model.bag position_weighted: Merlin's DLRM has no weights of positions. Use --model "
            "fused, or another bag."
        )
    attributes = {*dir(nn.ModuleDict()), BOTTOM}
    for name in architecture.categorical:
        if name in attributes or "." in name:
            raise ConfigError(
                f"Column {name!r}: Merlin's DLRM supports no categorical column of that name "
                f"(no dots, not {BOTTOM!r}, no attribute of torch.nn.ModuleDict). Rename it."
            )
    for name in (*architecture.categorical, *architecture.continuous):
        if name.endswith(LIST_SUFFIXES):
            raise ConfigError(
                f"Column {name!r}: Merlin reads a name that ends in {' or '.join(LIST_SUFFIXES)} "
                "as part of a list column. Rename it."
            )


def _check_schema(built: MerlinDLRM, schema: Any) -> None:
    architecture, tables = built.architecture, _tables(built.model)
    wanted = dict(zip(architecture.categorical, architecture.cardinalities, strict=True))
    got = {name: table.num_embeddings for name, table in tables.items()}
    if got != wanted or len(set(tables.values())) != len(wanted):
        raise ModelError(
            "Merlin schema: wanted a table of its own for each categorical column, of sizes "
            f"{wanted}, got {got}."
        )
    missing = set(architecture.continuous) - set(schema.column_names)
    if missing:
        raise ModelError(f"Merlin schema: lacks the continuous columns {sorted(missing)}.")


@torch.no_grad()
def _give_lazy_layers_their_width(built: MerlinDLRM) -> None:
    architecture = built.architecture
    one_each = (torch.zeros(1, dtype=torch.int64), torch.tensor([0, 1]))
    built(
        torch.zeros(1, len(architecture.single), dtype=torch.int64),
        torch.zeros(1, len(architecture.continuous)),
        [one_each] * len(architecture.bags),
    )
