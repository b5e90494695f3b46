"""The outputs that native code encodes, all of them in one call.

The native form of a chain is a tree of nodes (`plumbline.features.steps.native_nodes`). A step
without a native form is computed in NumPy first, and the steps after it take its result as a
further column of the request. An output is encoded here if its last step has a native form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from plumbline.columns.kinds import FeatureKind
from plumbline.features.encoding.request import Request, as_tensor
from plumbline.features.lookup.tables import Tables
from plumbline.features.plan.plan import OutputColumn
from plumbline.features.steps.chains import Chain, Columns, Runner, Source, type_of
from plumbline.features.steps.native_nodes import NativeNode, NativeNodes, Position, Tensor
from plumbline.features.steps.value_types import Element

_COMPUTED_TENSORS: Mapping[Element, Tensor] = {
    "number": "doubles",
    "integer": "integers",
    "time": "integers",
    "ids": "integers",
    "text": "texts",
}


class NativePart:
    """Encodes outputs in native code; see `Encoder` for the parameters."""

    def __init__(
        self,
        outputs: Sequence[OutputColumn],
        chains: Sequence[Chain],
        tables: Tables,
        kinds: Mapping[str, FeatureKind],
        positions: Mapping[str, Position],
    ) -> None:
        self._kinds = kinds
        self._positions = positions
        self._tables = tables
        self._nodes = NativeNodes()
        self._computed: dict[Tensor, list[Runner]] = {"doubles": [], "integers": [], "texts": []}
        self._computed_nodes: dict[Chain, NativeNode] = {}
        ids: dict[int, NativeNode] = {}
        numbers: dict[int, NativeNode] = {}
        handled = []
        widths = {"int64": 0, "float32": 0, "list<int64>": 0}
        for output, chain in zip(outputs, chains, strict=True):
            node = None if output.is_list else self._output(chain)
            if node is not None:
                (ids if output.is_categorical else numbers)[widths[output.dtype]] = node
            handled.append(node is not None)
            widths[output.dtype] += 1
        self._nodes.set_outputs(ids, numbers)
        self._encoder = self._nodes.encoder
        self.handled = tuple(handled)
        """For each output, whether it is encoded here."""
        self.handles_any = any(handled)
        self.reads = frozenset(column for chain in self._computed_nodes for column in chain.columns)
        """The raw columns that are needed by name."""

    def run(
        self,
        request: Request,
        columns: Columns,
        ids_BF: NDArray[Any],
        dense_BC: NDArray[np.float32],
    ) -> None:
        """Fill the columns of the outputs that are encoded here, and no others."""
        if self._computed_nodes:
            request = self._with_computed(request, columns)
        texts = [(text.offsets, text.data) for text in request.texts]
        self._encoder.run(
            request.numbers, request.doubles, request.integers, texts, ids_BF, dense_BC
        )

    def _with_computed(self, request: Request, columns: Columns) -> Request:
        doubles, integers, texts = (
            [compute(columns) for compute in runners] for runners in self._computed.values()
        )
        return Request(
            request.numbers,
            [*request.integers, *map(as_tensor, integers)],
            [*request.texts, *texts],
            [as_tensor(column) for column in doubles],
        )

    def _output(self, chain: Chain) -> NativeNode | None:
        """The node of a chain; None if its last step has no native form."""
        steps = chain.fitted
        if not steps:
            return self._column(chain.sources[0])
        before = chain.sources if len(steps) == 1 else (chain.upto(len(steps) - 1),)
        sources = [self._column(source) for source in before]
        if any(source is None for source in sources):
            return None
        return steps[-1].native(self._nodes, cast("list[NativeNode]", sources), self._tables)

    def _column(self, source: Source) -> NativeNode | None:
        """The node of a source, in NumPy if need be; None if it is a list."""
        if isinstance(source, str):
            position = self._positions.get(source)
            return None if position is None else self._nodes.raw_column(position)
        return self._output(source) or self._computed_column(source)

    def _computed_column(self, chain: Chain) -> NativeNode | None:
        if chain not in self._computed_nodes:
            type_ = type_of(chain, self._kinds, "a native step")
            if type_.is_list:
                return None
            tensor = _COMPUTED_TENSORS[type_.element]
            runners = self._computed[tensor]
            index = self._tensors_of_requests(tensor) + len(runners)
            runners.append(Runner(chain, self._tables))
            self._computed_nodes[chain] = self._nodes.raw_column((tensor, index, 0))
        return self._computed_nodes[chain]

    def _tensors_of_requests(self, tensor: Tensor) -> int:
        """The number of tensors of a kind in a `Request`."""
        indexes = [index for kind, index, _ in self._positions.values() if kind == tensor]
        return max(indexes, default=-1) + 1
