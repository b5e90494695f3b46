"""The quality cost of bfloat16 rows: rounded stochastically, rounded to nearest, and float32.

Clicks are drawn from a factorisation machine over columns of Zipf-distributed ids, and another
factorisation machine is trained on them, each row once. The figure is its log loss on other rows
minus that of the true model, in thousandths.

Legend: B rows, V id columns, D embedding length.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from benchmarks.harness import OURS, Benchmark, parser
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.model.embedding_tables import EmbeddingTables
from plumbline.dlrm.train.embedding_optimizer import EmbeddingOptimizer, Kind

DIM = 16
COLUMNS = 8
CARDINALITY = 400
BATCH = 512
TEST_ROWS = 100_000
LEARNING_RATES: dict[Kind, float] = {"sgd": 4.0, "rowwise_adagrad": 0.02}
FALLING_SHARE = 0.5
"""The learning rate decays to zero over this last share of the steps."""

ARCHITECTURE = Architecture(
    categorical=tuple(f"C{column}" for column in range(COLUMNS)),
    cardinalities=(CARDINALITY,) * COLUMNS,
    continuous=(),
    embedding_dim=DIM,
    bottom_mlp=(),
    top_mlp=(),
)


class World:
    """The source of the rows; equal seeds give equal rows in the same order."""

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)
        self._tables = EmbeddingTables(ARCHITECTURE)
        self._tables.initialize_(self._generator)
        self._tables.weight.mul_(15.0)
        self._tables.weight[:, 0].mul_(3.0)
        self._share_I = 1.0 / torch.arange(10, CARDINALITY + 10)

    def draw(self, rows: int) -> tuple[Tensor, Tensor, Tensor]:
        """ids_BV, click_B, and the logits that the clicks are drawn from."""
        ids_BV = torch.multinomial(
            self._share_I, rows * COLUMNS, replacement=True, generator=self._generator
        ).view(rows, COLUMNS)
        logit_B = logits(self._tables(ids_BV))
        chance_B = torch.rand(rows, generator=self._generator)
        return ids_BV, (chance_B < torch.sigmoid(logit_B)).float(), logit_B


def logits(embedding_BVD: Tensor) -> Tensor:
    """logit_B: the sum of the vectors' first numbers and of the pairwise dots of the others."""
    linear_B = embedding_BVD[:, :, 0].sum(1)
    factors = embedding_BVD[:, :, 1:]
    return linear_B + 0.5 * (factors.sum(1).square() - factors.square().sum(1)).sum(1) - 1.0


def excess_loss(rows: str, kind: Kind, steps: int, seed: int) -> float:
    """Log loss of the trained model minus the true model's, in thousandths.

    `rows` is "fp32", "bf16" (rounded stochastically) or "nearest".
    """
    world = World(seed)
    tables = EmbeddingTables(ARCHITECTURE, "bf16" if rows == "bf16" else "fp32")
    tables.initialize_(torch.Generator().manual_seed(seed + 1000))
    optimizer = EmbeddingOptimizer(tables, kind, seed)
    for step in range(steps):
        ids_BV, click_B, _ = world.draw(BATCH)
        embedding_BVD = tables(ids_BV).requires_grad_()
        binary_cross_entropy_with_logits(logits(embedding_BVD), click_B).backward()
        assert embedding_BVD.grad is not None
        rate = LEARNING_RATES[kind] * min(1.0, (1 - step / steps) / FALLING_SHARE)
        optimizer.step(ids_BV, (), embedding_BVD.grad, rate, step)
        if rows == "nearest":
            tables.weight.copy_(tables.weight.bfloat16())
    ids_BV, click_B, true_logit_B = world.draw(TEST_ROWS)
    learnt = binary_cross_entropy_with_logits(logits(tables(ids_BV)), click_B)
    return 1000 * (learnt - binary_cross_entropy_with_logits(true_logit_B, click_B)).item()


def sides(kind: Kind, steps: int) -> dict[str, Callable[[], float]]:
    """Each side's next repeat, from the next seed."""

    def side(rows: str) -> Callable[[], float]:
        seeds = iter(range(1, 100))
        return lambda: excess_loss(rows, kind, steps, next(seeds))

    return {OURS: side("bf16"), "fp32": side("fp32"), "bf16 to nearest": side("nearest")}


def main() -> None:
    arguments = parser(__doc__).parse_args()
    steps, repeats = (20, 1) if arguments.quick else (6_000, 1)
    benchmark = Benchmark("embedding_rows")
    for kind in LEARNING_RATES:
        case = benchmark.run(
            f"{kind}, {steps * BATCH:,} rows",
            "excess log loss, thousandths",
            sides(kind, steps),
            repeats,
        )
        benchmark.at_most(
            f"{kind}: excess of bf16 rows over that of fp32 rows",
            case.median(OURS) / case.median("fp32"),
            1.05,
        )
    benchmark.report(arguments.json)


if __name__ == "__main__":
    main()
