import pytest
import torch
from torch.nn import Parameter

from dlrm.optimizers import Optimizers
from features.settings import Training


def moved(share_done: float, **settings: float) -> tuple[float, float]:
    """How far one step moves a dense weight and an embedding weight, both with gradient 1."""
    parameters = {
        "last.weight": Parameter(torch.zeros(1)),
        "tables.0.weight": Parameter(torch.zeros(1)),
    }
    optimizers = Optimizers(parameters, Training(**settings))
    for parameter in parameters.values():
        parameter.grad = torch.ones(1)
    optimizers.step(share_done)
    dense, embedding = (-parameter.item() for parameter in parameters.values())
    return dense, embedding


@pytest.mark.parametrize(
    ("share_done", "factor"), [(0.0, 1.0), (0.7, 1.0), (0.85, 0.5), (0.97, 0.1), (1.0, 0.0)]
)
def test_both_rates_fall_linearly_over_the_last_share(share_done: float, factor: float) -> None:
    dense, embedding = moved(
        share_done, learning_rate=0.01, embedding_learning_rate=0.5, decay_share=0.3
    )
    assert dense == pytest.approx(0.01 * factor, abs=1e-6)
    assert embedding == pytest.approx(0.5 * factor, abs=1e-6)


def test_without_decay_the_rates_stay() -> None:
    assert moved(0.99, learning_rate=0.01, decay_share=0.0)[0] == pytest.approx(0.01, rel=1e-4)
