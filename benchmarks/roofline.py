"""How near each kernel comes to what this machine can do: memory and products, in the same run.

For each kernel, the bytes that it has to move and the operations that it has to do (multiplications
and additions). Beside it, taking turns: a copy of as many bytes in large pages, torch's
`index_select` of as many bytes in rows of the same length at random, and as many operations of a
large product by torch's libraries in the same precision. A ratio is the share of that ceiling that
the kernel reaches; the largest of a case says what bounds it. One row's weights may come from the
caches, so its share of a copy can be above 1.

Before that, the ceilings themselves: a copy in large pages and in pages of 4 KB, and products in
fp32, and in bf16 and int8 if the processor has instructions for bfloat16.

Legend: B rows, F id columns, D embedding length.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.criteo_plan import criteo_plan, requests_of
from benchmarks.harness import OURS, Benchmark, parser
from benchmarks.interaction import Workload
from benchmarks.scoring import draw
from benchmarks.train_work import CARDINALITIES, article, kaggle, layer_widths
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.model.dlrm import DLRM
from plumbline.dlrm.model.embedding_tables import EmbeddingTables
from plumbline.dlrm.ops.dtypes import DTYPES
from plumbline.dlrm.ops.embedding.memory import empty_rows
from plumbline.dlrm.ops.interaction.operator import interaction
from plumbline.dlrm.ops.library import has_bfloat16
from plumbline.dlrm.ops.scoring.precision import ScoringPrecision, scoring_precision
from plumbline.dlrm.score.scorer import Scorer
from plumbline.dlrm.train.embedding_optimizer import EmbeddingOptimizer
from plumbline.dlrm.train.memory import keep_freed_memory
from plumbline.dlrm.train.precision import training_precision
from plumbline.features.encoding.online import OnlineExecutor

COPY, ROWS_AT_RANDOM, PRODUCTS = "copy", "rows at random", "products"
COPIED = 64 << 20
"""Bytes that the yardstick reads, and writes again: more than the caches have."""
M, K, N = 1024, 512, 512

Work = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel's call, and what it has to do."""

    name: str
    call: Work
    bytes: int
    operations: int
    precision: str = "fp32"
    row_bytes: int = 0
    """Length of the rows that it reads at random; 0 if there are none."""


def ms(work: Work) -> float:
    start = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - start)


def product(precision: str) -> Work:
    if precision == "int8":
        a, b = torch.ones((M, K), dtype=torch.int8), torch.ones((K, N), dtype=torch.int8)
        return lambda: torch._int_mm(a, b)
    dtype = DTYPES["bf16" if precision == "bf16" else "fp32"]
    x_MK, y_KN = torch.ones((M, K), dtype=dtype), torch.ones((K, N), dtype=dtype)
    return lambda: torch.mm(x_MK, y_KN)


class Ceilings:
    """Yardsticks, scaled to a kernel's work."""

    def __init__(self) -> None:
        source, target = (empty_rows((COPIED,), torch.uint8).fill_(1) for _ in range(2))
        self.copy: Work = lambda: target.copy_(source)
        small = [torch.from_numpy(np.ones(COPIED, np.uint8)) for _ in range(2)]
        self.copy_in_small_pages: Work = lambda: small[1].copy_(small[0])
        precisions = ("fp32", "bf16", "int8") if has_bfloat16() else ("fp32",)
        self.products = {precision: product(precision) for precision in precisions}
        self._rows: dict[int, tuple[Work, int]] = {}

    def measure(self, benchmark: Benchmark, repeats: int) -> None:
        sides = {OURS: self.copy, "pages of 4 KB": self.copy_in_small_pages}
        turns = {side: lambda w=work: ms(w) for side, work in sides.items()}
        gigabytes = 2 * COPIED / 1e6
        case = benchmark.run(f"copy of {COPIED >> 20} MB, large pages", "ms", turns, repeats)
        benchmark.notes.append(f"Copy: {gigabytes / case.median(OURS):.1f} GB/s, read and written.")
        for precision, work in self.products.items():
            name = f"product {M} × {K} × {N} in {precision}"
            case = benchmark.run(name, "ms", {OURS: lambda w=work: ms(w)}, repeats)
            rate = 2e-6 * M * K * N / case.median(OURS)
            benchmark.notes.append(f"Products in {precision}: {rate:.0f} GOp/s.")

    def sides_of(self, kernel: Kernel) -> dict[str, Callable[[], float]]:
        """Milliseconds of the same bytes and operations by each yardstick."""
        copied = kernel.bytes / (2 * COPIED)
        sides = {COPY: lambda: copied * ms(self.copy)}
        if kernel.row_bytes:
            work, moved = self._rows_at_random(kernel.row_bytes)
            sides[ROWS_AT_RANDOM] = lambda: kernel.bytes / moved * ms(work)
        if kernel.operations and kernel.precision in self.products:
            share = kernel.operations / (2 * M * K * N)
            work_of_product = self.products[kernel.precision]
            sides[PRODUCTS] = lambda: share * ms(work_of_product)
        return sides

    def _rows_at_random(self, row_bytes: int) -> tuple[Work, int]:
        """A call, and the bytes that it reads and writes."""
        if row_bytes not in self._rows:
            table = empty_rows((4 * COPIED // row_bytes, row_bytes), torch.uint8).fill_(1)
            chosen = torch.randint(len(table), (COPIED // row_bytes,))
            out = torch.empty((len(chosen), row_bytes), dtype=torch.uint8)
            call = lambda: torch.index_select(table, 0, chosen, out=out)  # noqa: E731
            self._rows[row_bytes] = call, 2 * COPIED
        return self._rows[row_bytes]


def interaction_kernels(rows: int) -> list[Kernel]:
    precision = training_precision("auto", "cpu")
    kernels = []
    for dim in (128, 16):
        work = Workload.draw(rows, dim, DTYPES[precision])
        inputs = tuple(tensor.detach() for tensor in work.inputs)
        vectors = work.embeddings_BFD.shape[1] + 1
        operations = rows * vectors * (vectors - 1) * dim
        out = interaction(*work.inputs)

        def backward(out: Tensor = out, work: Workload = work) -> object:
            return torch.autograd.grad(out, work.inputs, work.gradient_BK, retain_graph=True)

        name = f"{precision}, ({rows}, {vectors}, {dim})"
        kernels += [
            Kernel(f"interaction forward, {name}", lambda i=inputs: interaction(*i),
                   work.forward_bytes, operations, precision),
            Kernel(f"interaction backward, {name}", backward,
                   work.backward_bytes, 2 * operations, precision),
        ]  # fmt: skip
    return kernels


def embedding_kernels(rows: int, sizes: Sequence[int]) -> list[Kernel]:
    kernels = []
    for architecture in (article(sizes), kaggle(sizes)):
        dim, columns = architecture.embedding_dim, len(architecture.categorical)
        tables = EmbeddingTables(architecture)
        tables.initialize_(torch.Generator().manual_seed(1))
        ids_BF = torch.from_numpy(draw(architecture, rows)[0])
        gradient_BFD = torch.full((rows, columns, dim), 1e-3)
        optimizer = EmbeddingOptimizer(tables, "sgd", 1)
        vectors = rows * columns * dim * 4

        def update(
            o: EmbeddingOptimizer = optimizer, i: Tensor = ids_BF, g: Tensor = gradient_BFD
        ) -> None:
            o.step(i, (), g, learning_rate=0.1, step=0)  # fmt: skip

        touched = sum(len(ids_B.unique()) for ids_B in ids_BF.T) * dim * 4
        kernels += [
            Kernel(f"embedding gather, {rows} rows, D {dim}", lambda t=tables, i=ids_BF: t(i),
                   2 * vectors + ids_BF.nbytes, 0, row_bytes=4 * dim),
            Kernel(f"embedding update, {rows} rows, D {dim}", update,
                   vectors + 2 * touched + ids_BF.nbytes, 0, row_bytes=4 * dim),
        ]  # fmt: skip
    return kernels


def scoring_kernels(rows: int, sizes: Sequence[int]) -> list[Kernel]:
    precision: ScoringPrecision = scoring_precision("auto")
    kernels = []
    for name, architecture in (("article", article(sizes)), ("kaggle", kaggle(sizes))):
        scorer = Scorer.of(DLRM(architecture, seed=1), precision=precision)
        weights = sum(before * after for before, after in layer_widths(architecture))
        for count in (rows, 1):
            looked_up = 4 * architecture.embedding_dim * len(architecture.categorical)
            encoded = draw(architecture, count)
            kernels.append(
                Kernel(f"scoring {name}, {precision}, {count:,} row{'s' * (count > 1)}",
                       lambda s=scorer, e=encoded: s.score(*e),
                       count * looked_up + weights * (2 if precision == "bf16" else 4),
                       count * operations_of(architecture), precision)
            )  # fmt: skip
    return kernels


def operations_of(architecture: Architecture) -> int:
    """Of one row: the layers' products and the interaction's."""
    vectors = len(architecture.categorical) + 1
    layers = sum(2 * before * after for before, after in layer_widths(architecture))
    return layers + vectors * (vectors - 1) * architecture.embedding_dim


def encoder_kernels(folder: Path, rows: int, share: float) -> list[Kernel]:
    executor = OnlineExecutor(criteo_plan(folder, share))
    kernels = []
    for count in (rows, 1):
        (request,) = requests_of(count, 1)
        encoded = executor.transform(request)
        moved = sum(tensor.nbytes for tensor in request.values())
        moved += encoded.ids_BF.nbytes + encoded.dense_BC.nbytes + 64 * encoded.ids_BF.size
        kernels.append(
            Kernel(f"encoding, {count:,} row{'s' * (count > 1)}, a line of an index a value",
                   lambda r=request: executor.transform(r), moved, 0, row_bytes=64)
        )  # fmt: skip
    return kernels


def main() -> None:
    options = parser(__doc__).parse_args()
    rows, repeats, largest = (64, 1, 1000) if options.quick else (8192, 15, 200_000)
    keep_freed_memory()
    sizes = [min(size, largest) for size in CARDINALITIES]
    benchmark, ceilings = Benchmark("roofline"), Ceilings()
    ceilings.measure(benchmark, repeats)
    with tempfile.TemporaryDirectory() as folder:
        kernels = [
            *interaction_kernels(rows),
            *embedding_kernels(rows, sizes),
            *scoring_kernels(rows // 4, sizes),
            *encoder_kernels(Path(folder) / "plan", rows // 8, 1e-3 if options.quick else 0.1),
        ]
        for kernel in kernels:
            kernel.call()
            ours = {OURS: lambda k=kernel: ms(k.call)}
            benchmark.run(kernel.name, "ms", {**ours, **ceilings.sides_of(kernel)}, repeats)
            benchmark.notes.append(
                f"{kernel.name}: {kernel.bytes / 1e6:.3g} MB, {kernel.operations / 1e6:.4g} MOp."
            )
    benchmark.report(options.json)


if __name__ == "__main__":
    main()
