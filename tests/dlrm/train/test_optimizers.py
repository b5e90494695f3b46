"""Named optimizers: rates, clipping, state; and row-wise Adagrad against its formula."""

import pytest
import torch
from torch.nn import Parameter

from plumbline.dlrm.train.optimizers import (
    NamedOptimizer,
    RowwiseAdagrad,
    dense_optimizer,
    sparse_optimizer,
)
from plumbline.settings import Training


def sparse(rows: list[int], values: list[list[float]], shape: tuple[int, int]) -> torch.Tensor:
    return torch.sparse_coo_tensor(torch.tensor([rows]), torch.tensor(values), shape)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("factor", [1.0, 0.25, 0.0])
def test_a_step_follows_the_factor(optimizer: str, factor: float) -> None:
    parameter = Parameter(torch.zeros(3))
    named = dense_optimizer(
        {"last.weight": parameter}, Training(optimizer=optimizer, learning_rate=0.01)
    )
    parameter.grad = torch.ones(3)
    named.step(factor)
    assert parameter.tolist() == pytest.approx([-0.01 * factor] * 3, rel=1e-4)
    named.zero_grad()
    assert parameter.grad is None


def test_gradients_are_clipped_by_their_common_norm() -> None:
    one, two = Parameter(torch.zeros(1)), Parameter(torch.zeros(1))
    settings = Training(optimizer="sgd", learning_rate=1.0, clip_norm=1.0)
    named = dense_optimizer({"one": one, "two": two}, settings)
    one.grad, two.grad = torch.tensor([3.0]), torch.tensor([4.0])
    named.step(1.0)
    assert [one.item(), two.item()] == pytest.approx([-0.6, -0.8], rel=1e-5)
    one.grad, two.grad = torch.tensor([0.3]), torch.tensor([0.4])
    named.step(1.0)
    assert [one.item(), two.item()] == pytest.approx([-0.9, -1.2], rel=1e-5)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_weight_decay_is_apart_from_the_gradient_and_spares_biases(optimizer: str) -> None:
    settings = {"optimizer": optimizer, "learning_rate": 0.1}

    def stepped(decay: float) -> tuple[torch.Tensor, torch.Tensor]:
        weight, bias = Parameter(torch.full((2, 2), 3.0)), Parameter(torch.full((2,), 3.0))
        training = Training.model_validate({**settings, "weight_decay": decay})
        named = dense_optimizer({"last.weight": weight, "last.bias": bias}, training)
        weight.grad, bias.grad = torch.full((2, 2), 0.7), torch.full((2,), 0.7)
        named.step(0.5)
        return weight.detach(), bias.detach()

    (plain, plain_bias), (decayed, decayed_bias) = stepped(0.0), stepped(0.2)
    assert torch.equal(plain_bias, decayed_bias)
    assert torch.allclose(plain - decayed, torch.tensor(0.5 * 0.1 * 0.2 * 3.0), atol=1e-6)


def test_the_state_has_the_parameters_names_and_is_restored() -> None:
    def adam(weight: torch.Tensor) -> tuple[Parameter, NamedOptimizer]:
        parameter = Parameter(weight.clone())
        return parameter, dense_optimizer({"last.weight": parameter}, Training(learning_rate=1e-3))

    whole, of_whole = adam(torch.ones(2))
    for gradient in (1.0, -0.5):
        whole.grad = torch.full((2,), gradient)
        of_whole.step(1.0)
    state = of_whole.state()
    assert state.keys() == {
        "last.weight/step", "last.weight/exp_avg", "last.weight/exp_avg_sq",
    }  # fmt: skip
    cut, of_cut = adam(whole.detach())
    of_cut.load(state)
    for parameter, named in ((whole, of_whole), (cut, of_cut)):
        parameter.grad = torch.full((2,), 0.7)
        named.step(0.5)
    assert torch.equal(whole, cut)


def test_rowwise_adagrad_is_its_formula_and_leaves_other_rows_alone() -> None:
    table = Parameter(torch.arange(6.0).view(3, 2))
    before = table.detach().clone()
    optimizer = RowwiseAdagrad([table], lr=0.5, eps=0.0)
    table.grad = sparse([2, 0, 2], [[1.0, 2.0], [3.0, 4.0], [1.0, 0.0]], (3, 2))
    optimizer.step()
    # Row 2 has the gradient (2, 2), row 0 has (3, 4): their mean squares are 4 and 12.5.
    wanted = before.clone()
    wanted[2] -= 0.5 * torch.tensor([2.0, 2.0]) / 2
    wanted[0] -= 0.5 * torch.tensor([3.0, 4.0]) / 12.5**0.5
    assert torch.allclose(table, wanted)
    table.grad = sparse([2], [[0.0, 2.0]], (3, 2))
    optimizer.step()
    wanted[2] -= 0.5 * torch.tensor([0.0, 2.0]) / 6**0.5
    assert torch.allclose(table, wanted)
    assert torch.equal(table[1], before[1])


@pytest.mark.parametrize("kind", ["rowwise_adagrad", "sgd"])
def test_tables_are_stepped_sparsely(kind: str) -> None:
    table = Parameter(torch.ones(4, 2))
    settings = Training(embedding_optimizer=kind, embedding_learning_rate=0.1)
    named = sparse_optimizer({"C1": table}, settings)
    table.grad = sparse([1], [[1.0, 1.0]], (4, 2))
    named.step(0.5)
    assert table[1].tolist() == pytest.approx([0.95, 0.95])
    assert (table[[0, 2, 3]] == 1).all()
