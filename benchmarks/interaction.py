"""The interaction operator against the fastest plain torch version that we know, bmm and gather.

Criteo's 26 embeddings and a dense vector, 8,192 rows, the article's length (128) and Kaggle's (16).
Every result is first compared with the specification in float64. The process keeps freed memory, as
training does. As a yardstick, another side copies as many bytes as the operator has to move (its
inputs and outputs, once each). Its time over ours is the share of the copy's bandwidth that the
operator reaches; only for this figure more is better.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.harness import OURS, Benchmark, Case, has_amx, parser
from plumbline.base.errors import DataError
from plumbline.dlrm.ops.interaction.operator import interaction
from plumbline.dlrm.ops.interaction.reference import interaction_reference
from plumbline.dlrm.ops.interaction.width import interaction_width
from plumbline.dlrm.train.memory import keep_freed_memory

FEATURES = 26
PEER = "bmm and gather"
COPY = "copy of the bytes"
ROUNDINGS = {OURS: 1, PEER: 4}
"""Number of roundings to the result's dtype on each side; the peer rounds intermediate results."""

TIMES = 6.0
"""The peer's time over ours for the article's length in bfloat16, at least."""
TIMES_WITH_TILES, SHARE_WITH_TILES = {"forward": 6.0, "backward": 8.0}, 0.7
"""The same on a processor with AMX, and the share of the copy's bandwidth."""

Operator = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Workload:
    """Inputs that require gradients, and a gradient of the result."""

    dense_BD: Tensor
    embeddings_BFD: Tensor
    gradient_BK: Tensor

    @staticmethod
    def draw(rows: int, dim: int, dtype: torch.dtype) -> Workload:
        generator = torch.Generator().manual_seed(dim)

        def normal(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator).to(dtype)

        return Workload(
            normal(rows, dim).requires_grad_(),
            normal(rows, FEATURES, dim).requires_grad_(),
            normal(rows, interaction_width(FEATURES, dim, has_dense=True)),
        )

    @property
    def inputs(self) -> tuple[Tensor, Tensor]:
        return self.dense_BD, self.embeddings_BFD

    @property
    def forward_bytes(self) -> int:
        return sum(t.nbytes for t in (*self.inputs, self.gradient_BK))

    @property
    def backward_bytes(self) -> int:
        return self.forward_bytes + sum(t.nbytes for t in self.inputs)


def bmm_and_gather() -> Operator:
    """The peer; the indices of the triangle are computed once."""
    vectors = FEATURES + 1
    row_P, column_P = torch.tril_indices(vectors, vectors, offset=-1)
    places_P = row_P * vectors + column_P

    def operator(dense_BD: Tensor, embeddings_BFD: Tensor) -> Tensor:
        vector_BND = torch.cat([dense_BD.unsqueeze(1), embeddings_BFD], dim=1)
        dot_BNN = torch.bmm(vector_BND, vector_BND.transpose(1, 2))
        parts = [dense_BD, dot_BNN.flatten(1).index_select(1, places_P)]
        rows, content = len(dense_BD), dense_BD.shape[1] + len(places_P)
        parts.append(dense_BD.new_zeros(rows, -content % 8))
        return torch.cat(parts, dim=1)

    return operator


def check(side: str, operator: Operator, work: Workload) -> None:
    """Raise DataError unless result and gradients equal the specification's within rounding.

    The bound is n · 2⁻²³ · Σ|a·b| for a sum of n products, plus half a unit in the last place of
    Σ|a·b| for each rounding to the dtype.
    """
    for first in range(0, len(work.dense_BD), 1024):
        part = slice(first, first + 1024)
        inputs = [t[part].detach().requires_grad_() for t in work.inputs]
        weight = work.gradient_BK[part]
        out = operator(*inputs)
        actual = [out.detach(), *torch.autograd.grad(out, inputs, weight)]
        wanted = _specified([t.detach().double() for t in inputs], weight.double())
        sizes = _specified([t.detach().double().abs() for t in inputs], weight.double().abs())
        dim, vectors = work.dense_BD.shape[1], FEATURES + 1
        for got, want, size, terms in zip(
            actual, wanted, sizes, (dim, vectors, vectors), strict=True
        ):
            eps = ROUNDINGS[side] * torch.finfo(got.dtype).eps / 2
            bound = (terms * 2.0**-23 + eps) * size + torch.finfo(got.dtype).tiny
            if not ((got.double() - want).abs() <= bound).all():
                raise DataError(f"{side}: other results than the specification's: not equal work.")


def _specified(inputs: list[Tensor], weight: Tensor) -> list[Tensor]:
    leaves = [t.requires_grad_() for t in inputs]
    out = interaction_reference(*leaves)
    return [out.detach(), *torch.autograd.grad(out, leaves, weight)]


def milliseconds(work: Callable[[], object]) -> Callable[[], float]:
    """A side that returns the time of one call."""

    def side() -> float:
        start = time.perf_counter_ns()
        work()
        return (time.perf_counter_ns() - start) / 1e6

    return side


def copy_of(bytes_moved: int) -> Callable[[], float]:
    """A side that copies memory: reads half of the bytes and writes the other half."""
    source = torch.ones(bytes_moved // 2, dtype=torch.uint8)
    target = torch.empty_like(source)
    return milliseconds(lambda: target.copy_(source))


def forward_sides(operators: dict[str, Operator], work: Workload) -> dict[str, Callable[[], float]]:
    inputs = tuple(tensor.detach() for tensor in work.inputs)

    def side(operator: Operator) -> Callable[[], float]:
        return milliseconds(lambda: operator(*inputs))

    return {
        **{name: side(operator) for name, operator in operators.items()},
        COPY: copy_of(work.forward_bytes),
    }


def backward_sides(
    operators: dict[str, Operator], work: Workload
) -> dict[str, Callable[[], float]]:
    def side(operator: Operator) -> Callable[[], float]:
        out = operator(*work.inputs)
        return milliseconds(
            lambda: torch.autograd.grad(out, work.inputs, work.gradient_BK, retain_graph=True)
        )

    return {
        **{name: side(operator) for name, operator in operators.items()},
        COPY: copy_of(work.backward_bytes),
    }


def judge(benchmark: Benchmark, direction: str, case: Case, share: float) -> None:
    target = TIMES_WITH_TILES[direction] if has_amx() else TIMES
    benchmark.at_least(f"times {PEER}, {case.name}", case.ratios[PEER], target)
    name = f"share of the copy's bandwidth, AMX, {case.name}"
    if has_amx():
        benchmark.at_least(name, share, SHARE_WITH_TILES)
    else:
        benchmark.not_measured(name, SHARE_WITH_TILES)


def main() -> None:
    options = parser(__doc__).parse_args()
    keep_freed_memory()
    rows, repeats = (256, 5) if options.quick else (8192, 60)
    benchmark = Benchmark("interaction")
    operators: dict[str, Operator] = {OURS: interaction, PEER: bmm_and_gather()}
    for dim in (128, 16):
        for dtype in (torch.bfloat16, torch.float32):
            work = Workload.draw(rows, dim, dtype)
            for side, operator in operators.items():
                check(side, operator, work)
            shape = f"({rows}, {FEATURES + 1}, {dim}) {str(dtype).removeprefix('torch.')}"
            for direction, sides_of in (("forward", forward_sides), ("backward", backward_sides)):
                sides = sides_of(operators, work)
                for warm_up in sides.values():
                    warm_up()
                case = benchmark.run(f"{direction} {shape}", "ms", sides, repeats)
                figures = zip(case.figures[COPY], case.figures[OURS], strict=True)
                shares = [copied / ours for copied, ours in figures]
                benchmark.add(case.name, "share of the copy's bandwidth", {OURS: shares})
                if (dim, dtype) == (128, torch.bfloat16):
                    judge(benchmark, direction, case, statistics.median(shares))
    benchmark.report(options.json)


if __name__ == "__main__":
    main()
