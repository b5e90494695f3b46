"""The layers of `plumbline.dlrm.model.dlrm.DLRM` as ONNX operators.

Legend: B rows, F columns with one id a row, L list columns, T ids of the longest list, D embedding
length, N vectors of a row, P pairs of them, K width of the interaction, R rows of all tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from onnx import TensorProto

from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.onnx.graph import GraphBuilder
from plumbline.dlrm.onnx.padded_ids import PADDING

_TABLES = "tables.weight"
_DTYPES = {"fp32": "F32", "bf16": "BF16"}


class DlrmLayers:
    """Adds a model's operators to a graph; `probability` adds all of them.

    An unknown id, one out of its table's range, gathers a valid row and is counted.
    """

    def __init__(self, graph: GraphBuilder, architecture: Architecture) -> None:
        self._graph = graph
        self._architecture = architecture
        self._dim = architecture.embedding_dim
        names = architecture.categorical
        self._single = [v for v, name in enumerate(names) if name not in architecture.bags]
        self._lists = [v for v, name in enumerate(names) if name in architecture.bags]

    def probability(
        self, name: str, ids_BF: str | None, padded_BLT: str | None, dense_BC: str | None
    ) -> str:
        """(B, 1), from the architecture's inputs; NaN in rows with an unknown id."""
        add, architecture = self._graph.add, self._architecture
        if architecture.categorical:
            dtype, rows = _DTYPES[architecture.embedding_rows], sum(architecture.cardinalities)
            self._graph.weight(_TABLES, dtype, rows, self._dim)
        hidden_BK = dense_BD = ""
        vectors: list[str] = []
        unknown: list[str] = []
        if dense_BC is not None:
            dense_BD = self._mlp(
                "bottom", dense_BC, len(architecture.continuous), architecture.bottom_mlp
            )
            vectors.append(add("dense_B1D", "Unsqueeze", dense_BD, self._integers("axis", [1])))
            hidden_BK = dense_BD
        for ids, lookup in ((ids_BF, self._gathered), (padded_BLT, self._pooled)):
            if ids is not None:
                vector, missed = lookup(ids)
                vectors.append(vector)
                unknown.append(missed)
        if architecture.categorical:
            hidden_BK = self._interaction(dense_BD, vectors)
        top_BH = self._mlp("top", hidden_BK, architecture.top_input, architecture.top_mlp)
        last = (architecture.top_input, *architecture.top_mlp)[-1]
        logit_B1 = self._linear("logit_B1", top_BH, "last", last, 1)
        if not unknown:
            return add(name, "Sigmoid", logit_B1)
        known_B1 = add("probability_B1", "Sigmoid", logit_B1)
        nan = self._graph.constant("nan", np.float32(np.nan))
        return add(name, "Where", self._any(unknown), nan, known_B1)

    def _gathered(self, ids_BF: str) -> tuple[str, str]:
        """vector_BFD, float32, and 1.0 for each unknown id, (B, F)."""
        add = self._graph.add
        last, first = self._bounds(self._single)
        low_BF = add("low_BF", "Min", ids_BF, self._integers("last_F", last))
        safe_BF = add("safe_BF", "Max", low_BF, self._integers("zero", [0]))
        row_BF = add("row_BF", "Add", safe_BF, self._integers("first_row_F", first))
        vector_BFD = self._rows("vector_BFD", row_BF)
        return vector_BFD, self._unequal("unknown_BF", safe_BF, ids_BF)

    def _pooled(self, padded_BLT: str) -> tuple[str, str]:
        """vector_BLD, float32, and the number of unknown ids of each list, (B, L).

        Padding gathers its table's first row and does not count.
        """
        add = self._graph.add
        last, first = self._bounds(self._lists)
        last_L1 = self._integers("last_L1", [[number] for number in last])
        first_L1 = self._integers("first_row_L1", [[row] for row in first])
        low_BLT = add("low_BLT", "Min", padded_BLT, last_L1)
        padding = self._integers("padding", [PADDING])
        safe_BLT = add("safe_BLT", "Max", low_BLT, padding)
        present_BLT = add("present_BLT", "Greater", safe_BLT, padding)
        id_BLT = add("id_BLT", "Max", safe_BLT, self._integers("first_id", [0]))
        row_BLT = add("row_BLT", "Add", id_BLT, first_L1)
        each_BLTD = self._rows("each_BLTD", row_BLT)
        minus_one, two = self._integers("last_axis", [-1]), self._integers("list_axis", [2])
        present_BLT1 = add("present_BLT1", "Unsqueeze", present_BLT, minus_one)
        nothing = self._graph.constant("nothing", np.float32(0))
        if self._architecture.bag == "max":
            vector_BLD = self._maximum(each_BLTD, present_BLT1, nothing)
        else:
            kept_BLTD = add("kept_BLTD", "Where", present_BLT1, each_BLTD, nothing)
            if self._architecture.bag_positions is not None:
                weight_LT1 = self._position_weights(padded_BLT, self._architecture.bag_positions)
                kept_BLTD = add("weighted_BLTD", "Mul", kept_BLTD, weight_LT1)
            vector_BLD = add("sum_BLD", "ReduceSum", kept_BLTD, two, keepdims=0)
        if self._architecture.bag == "mean":
            one_BLT = add("one_BLT", "Cast", present_BLT, to=TensorProto.FLOAT)
            length_BL1 = add("length_BL1", "ReduceSum", one_BLT, two, keepdims=1)
            one = self._graph.constant("one", np.float32(1))
            share_BL1 = add("share_BL1", "Max", length_BL1, one)
            vector_BLD = add("mean_BLD", "Div", vector_BLD, share_BL1)
        wrong_BLT = self._unequal("unknown_BLT", safe_BLT, padded_BLT)
        return vector_BLD, add("unknown_BL", "ReduceSum", wrong_BLT, two, keepdims=0)

    def _position_weights(self, padded_BLT: str, positions: int) -> str:
        """weight_LT1; positions behind the last weight have the last one."""
        add, zero, one = self._graph.add, np.int64(0), np.int64(1)
        rows = []
        for number in range(len(self._lists)):
            name = self._graph.weight(f"tables.position_weights.{number}", "F32", positions)
            axis = self._integers(f"weights_axis_{number}", [0])
            rows.append(add(f"weight_{number}_1P", "Unsqueeze", name, axis))
        weight_LP = add("weight_LP", "Concat", *rows, axis=0)
        shape = add("lists_shape", "Shape", padded_BLT)
        longest = add("longest", "Gather", shape, self._integers("longest_at", 2))
        start, step = (self._graph.constant(n, v) for n, v in (("from", zero), ("step", one)))
        number_T = add("number_T", "Range", start, longest, step)
        position_T = add(
            "position_T", "Min", number_T, self._integers("last_position", positions - 1)
        )
        weight_LT = add("weight_LT", "Gather", weight_LP, position_T, axis=1)
        return add("weight_LT1", "Unsqueeze", weight_LT, self._integers("weights_last_axis", [-1]))

    def _maximum(self, each_BLTD: str, present_BLT1: str, nothing: str) -> str:
        """vector_BLD; one more element of each list, -inf, is there if the others are padding."""
        add = self._graph.add
        least = self._graph.constant("least", np.float32(-np.inf))
        kept_BLTD = add("kept_BLTD", "Where", present_BLT1, each_BLTD, least)
        one_more = self._integers("one_more", [0, 0, 0, 0, 0, 0, 1, 0])
        longer_BLTD = add("longer_BLTD", "Pad", kept_BLTD, one_more, least)
        top_BLD = add("top_BLD", "ReduceMax", longer_BLTD, axes=[2], keepdims=0)
        empty_BLD = add("empty_BLD", "Equal", top_BLD, least)
        return add("max_BLD", "Where", empty_BLD, nothing, top_BLD)

    def _bounds(self, positions: Sequence[int]) -> tuple[list[int], list[int]]:
        """Last id and first row of the tables at these positions in plan order."""
        cardinalities = self._architecture.cardinalities
        first_row = list(accumulate((0, *cardinalities)))
        return [cardinalities[v] - 1 for v in positions], [first_row[v] for v in positions]

    def _rows(self, name: str, row: str) -> str:
        """Rows of the tables, as float32."""
        add = self._graph.add
        if self._architecture.embedding_rows == "fp32":
            return add(name, "Gather", _TABLES, row, axis=0)
        stored = add(f"{name}_stored", "Gather", _TABLES, row, axis=0)
        return add(name, "Cast", stored, to=TensorProto.FLOAT)

    def _interaction(self, dense_BD: str, vectors: Sequence[str]) -> str:
        """hidden_BK as in `plumbline.dlrm.ops.interaction.operator`; an empty name means no dense
        vector.

        The vectors may be in any order; the indices of the pairs account for it.
        """
        add, integers = self._graph.add, self._integers
        index_N = self._vector_indices(bool(dense_BD))
        count = len(index_N)
        pairs = [index_N[i] * count + index_N[j] for i in range(count) for j in range(i)]
        vector_BND = add("vector_BND", "Concat", *vectors, axis=1)
        vector_BDN = add("vector_BDN", "Transpose", vector_BND, perm=[0, 2, 1])
        dot_BNN = add("dot_BNN", "MatMul", vector_BND, vector_BDN)
        flat = add("dot_BNN_flat", "Reshape", dot_BNN, integers("dots_shape", [0, count * count]))
        dot_BP = add("dot_BP", "Gather", flat, integers("pair_P", pairs), axis=1)
        parts = [dense_BD, dot_BP] if dense_BD else [dot_BP]
        width = len(pairs) + (self._dim if dense_BD else 0)
        hidden = add("interaction", "Concat", *parts, axis=1)
        missing = self._architecture.top_input - width
        if not missing:
            return hidden
        return add("interaction_BK", "Pad", hidden, integers("zeros_behind", [0, 0, 0, missing]))

    def _vector_indices(self, has_dense: bool) -> list[int]:
        """Index of each vector in the interaction's order. The graph concatenates the dense vector,
        the columns with one id, then the lists."""
        indices = {v: has_dense + n for n, v in enumerate((*self._single, *self._lists))}
        return [0] * has_dense + [indices[v] for v in sorted(indices)]

    def _mlp(self, part: str, x: str, width: int, layers: Sequence[int]) -> str:
        for number, outputs in enumerate(layers):
            linear = self._linear(f"{part}.{number}.linear", x, f"{part}.{number}", width, outputs)
            x, width = self._graph.add(f"{part}.{number}.relu", "Relu", linear), outputs
        return x

    def _linear(self, name: str, x: str, layer: str, inputs: int, outputs: int) -> str:
        weight = self._graph.weight(f"{layer}.weight", "F32", outputs, inputs)
        bias = self._graph.weight(f"{layer}.bias", "F32", outputs)
        return self._graph.add(name, "Gemm", x, weight, bias, transB=1)

    def _unequal(self, name: str, safe: str, given: str) -> str:
        """1.0 where the two differ, else 0.0."""
        add = self._graph.add
        equal = add(f"{name}_equal", "Equal", safe, given)
        differs = add(f"{name}_differs", "Not", equal)
        return add(name, "Cast", differs, to=TensorProto.FLOAT)

    def _any(self, unknown: Sequence[str]) -> str:
        """(B, 1), bool: whether the row has an unknown id."""
        add = self._graph.add
        together = add("unknown_BV", "Concat", *unknown, axis=1)
        axis = self._integers("columns_axis", [1])
        count_B1 = add("unknown_B1", "ReduceSum", together, axis, keepdims=1)
        return add("has_unknown_B1", "Cast", count_B1, to=TensorProto.BOOL)

    def _integers(self, name: str, numbers: object) -> str:
        return self._graph.constant(name, np.array(numbers, np.int64))
