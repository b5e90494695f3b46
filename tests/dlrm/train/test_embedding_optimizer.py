"""The optimizer of the embedding rows, against torch's optimizers and by hand."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.ops.embedding.contract import RowStep
from plumbline.dlrm.ops.embedding.reference import ReferenceEmbedding
from plumbline.dlrm.ops.random_bits import step_keys
from plumbline.dlrm.train.embedding_optimizer import EmbeddingOptimizer
from tests.dlrm.embedding_reference import embedding_reference
from tests.dlrm.model.test_embedding_tables import architecture_of, batches, tables_of


@given(batches())
def test_sgd_descends_the_gradient_of_the_reference(batch):
    architecture, ids_BF, bags = batch
    tables = tables_of(architecture)
    columns = tables.columns(ids_BF, bags)
    weight_RD = tables.weight.detach().double().requires_grad_()
    out_BVD = embedding_reference(weight_RD, columns, torch.float64)
    gradient_BVD = torch.randn(out_BVD.shape, generator=torch.Generator().manual_seed(3))
    out_BVD.backward(gradient_BVD.double())
    wanted_RD = weight_RD.detach() - 0.5 * weight_RD.grad
    EmbeddingOptimizer(tables, "sgd", seed=1).step(ids_BF, bags, gradient_BVD, 0.5, step=0)
    assert torch.allclose(tables.weight.double(), wanted_RD, rtol=1e-5, atol=1e-5)


@given(batches(), st.sampled_from(["sgd", "rowwise_adagrad"]), st.sampled_from(["fp32", "bf16"]))
def test_equals_the_reference(batch, kind, rows):
    architecture, ids_BF, bags = batch
    tables, other = tables_of(architecture, rows), tables_of(architecture, rows)
    optimizer = EmbeddingOptimizer(tables, kind, seed=5)
    shape = (len(ids_BF), len(architecture.categorical), architecture.embedding_dim)
    state_R = torch.zeros(len(other.weight)) if kind == "rowwise_adagrad" else None
    for step in range(2):
        gradient_BVD = torch.randn(shape, generator=torch.Generator().manual_seed(step))
        optimizer.step(ids_BF, bags, gradient_BVD, 0.01, step, scale=0.5)
        ReferenceEmbedding().update(
            other.weight,
            state_R,
            other.columns(ids_BF, bags),
            gradient_BVD,
            RowStep(0.01, 1e-8, 0.5, *step_keys(5, step)),
        )
    # After different float32 rounding, bfloat16 rows may be neighbours.
    tolerance = 1e-6 if rows == "fp32" else 2**-7 * 0.1
    assert torch.allclose(tables.weight.float(), other.weight.float(), rtol=1e-5, atol=tolerance)


def test_sgd_is_torchs():
    tables = tables_of(architecture_of([50], dim=8))
    embedding = torch.nn.Embedding.from_pretrained(tables.weight.clone(), freeze=False, sparse=True)
    optimizer = torch.optim.SGD(embedding.parameters(), lr=0.1)
    ours = EmbeddingOptimizer(tables, "sgd", seed=1)
    for step in range(3):
        ids_B1 = torch.randint(0, 50, (40, 1))
        gradient_B1D = torch.randn(40, 1, 8)
        optimizer.zero_grad()
        embedding(ids_B1).backward(gradient_B1D)
        optimizer.step()
        ours.step(ids_B1, (), gradient_B1D, 0.1, step)
    assert torch.allclose(tables.weight, embedding.weight, rtol=1e-5, atol=1e-6)


def test_rowwise_adagrad_by_hand():
    tables = tables_of(architecture_of([3], dim=2))
    before_RD = tables.weight.clone()
    optimizer = EmbeddingOptimizer(tables, "rowwise_adagrad", seed=1, eps=0.5)
    ids_B1 = torch.tensor([[1], [2], [1]])
    gradient_B1D = torch.tensor([[[1.0, 2.0]], [[4.0, 0.0]], [[2.0, 2.0]]])
    optimizer.step(ids_B1, (), gradient_B1D, 0.1, 0, scale=2.0)
    state_R = optimizer.state()["mean_square_sum"]
    assert state_R.tolist() == [0.0, (6.0**2 + 8.0**2) / 2, 8.0**2 / 2]
    moved_RD = before_RD - tables.weight
    assert not moved_RD[0].any()
    factor = 0.1 / (math.sqrt(50) + 0.5)
    assert moved_RD[1].tolist() == pytest.approx([6 * factor, 8 * factor], rel=1e-5)
    optimizer.step(ids_B1[:1], (), gradient_B1D[:1], 0.1, 1)
    assert state_R[1].item() == pytest.approx(50 + 2.5)


def test_steps_below_the_spacing_of_bfloat16_are_kept_in_the_mean():
    tables = tables_of(architecture_of([500], dim=64), "bf16")
    tables.weight.fill_(1.0)  # neighbours at 1 - 2⁻⁸ and 1 + 2⁻⁷
    optimizer = EmbeddingOptimizer(tables, "sgd", seed=3)
    ids_B1 = torch.arange(500).unsqueeze(1)
    gradient_B1D = torch.full((500, 1, 64), 2.0**-12)
    for step in range(64):
        optimizer.step(ids_B1, (), gradient_B1D, 1.0, step)
    moved = 1.0 - tables.weight.double()
    # Each of 64 steps goes down by 2⁻⁸ with a chance of 1/16.
    deviation = 2.0**-8 * math.sqrt(64 * (1 / 16) * (15 / 16))
    assert moved.mean().item() == pytest.approx(64 * 2.0**-12, abs=4 * deviation / math.sqrt(32000))
    assert moved.std().item() == pytest.approx(deviation, rel=0.05)


def test_the_random_bits_depend_on_seed_and_step():
    # The first two numbers of the published generator, seeded with 0.
    assert step_keys(0, -1) == (0x7B1DCDAF, 0xE220A839)
    assert step_keys(1, -1) == (0xA1B965F4, 0x6E789E6A)
    keys = {step_keys(seed, step) for seed in range(10) for step in range(1000)}
    assert len(keys) == 10_000
    assert all(0 <= key < 2**32 for pair in keys for key in pair)
    results = []
    for seed, step in [(1, 0), (1, 0), (1, 1), (2, 0)]:
        tables = tables_of(architecture_of([9], dim=16), "bf16")
        optimizer = EmbeddingOptimizer(tables, "sgd", seed=seed)
        ids_B1 = torch.arange(9).unsqueeze(1)
        optimizer.step(ids_B1, (), torch.full((9, 1, 16), 0.01), 0.01, step)
        results.append(tables.weight.clone())
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])
    assert not torch.equal(results[0], results[3])


def test_a_bad_id_changes_nothing():
    tables = tables_of(architecture_of([5, 7]))
    before = tables.weight.clone()
    optimizer = EmbeddingOptimizer(tables, "rowwise_adagrad", seed=1)
    with pytest.raises(ModelError, match="Column 'c1': the model has ids 0 to 6, got 7"):
        optimizer.step(torch.tensor([[1, 2], [3, 7]]), (), torch.ones(2, 2, 4), 0.1, 0)
    assert torch.equal(tables.weight, before)
    assert not optimizer.state()["mean_square_sum"].any()


@pytest.mark.parametrize(
    ("gradient", "message"),
    [
        (torch.ones(2, 1, 4), r"shape \(2, 2, 4\), .* got \(2, 1, 4\)"),
        (torch.ones(2, 2, 4, dtype=torch.float64), "got .* float64"),
        (torch.ones(2, 2, 4, device="meta"), "got .* on meta"),
    ],
)
def test_gradients_of_another_shape_or_dtype_are_refused(gradient, message):
    optimizer = EmbeddingOptimizer(tables_of(architecture_of([5, 7])), "sgd", seed=1)
    with pytest.raises(ValueError, match=message):
        optimizer.step(torch.zeros(2, 2, dtype=torch.int64), (), gradient, 0.1, 0)


def test_gradients_that_are_not_contiguous():
    one, two = tables_of(architecture_of([5, 7])), tables_of(architecture_of([5, 7]))
    ids_BF = torch.tensor([[1, 2], [3, 6], [1, 2]])
    gradient_BDV = torch.randn(3, 4, 2)
    for tables, gradient_BVD in (
        (one, gradient_BDV.transpose(1, 2)),
        (two, gradient_BDV.transpose(1, 2).contiguous()),
    ):
        EmbeddingOptimizer(tables, "sgd", seed=1).step(ids_BF, (), gradient_BVD, 0.1, 0)
    assert torch.equal(one.weight, two.weight)


def test_a_stored_state_resumes():
    whole, parts = tables_of(architecture_of([9])), tables_of(architecture_of([9]))
    first = EmbeddingOptimizer(whole, "rowwise_adagrad", seed=1)
    second = EmbeddingOptimizer(parts, "rowwise_adagrad", seed=1)
    ids_B1 = torch.tensor([[1], [4]])
    for step in range(2):
        gradient_B1D = torch.full((2, 1, 4), 1.0 + step)
        first.step(ids_B1, (), gradient_B1D, 0.1, step)
        second.step(ids_B1, (), gradient_B1D, 0.1, step)
        stored = {name: tensor.clone() for name, tensor in second.state().items()}
        second = EmbeddingOptimizer(parts, "rowwise_adagrad", seed=1)
        second.load(stored)
    assert torch.equal(whole.weight, parts.weight)


@pytest.mark.parametrize("kind", ["sgd", "rowwise_adagrad"])
def test_a_state_of_something_else_is_refused(kind):
    optimizer = EmbeddingOptimizer(tables_of(architecture_of([9])), kind, seed=1)
    with pytest.raises(ModelError, match="The embedding optimizer's state"):
        optimizer.load({"mean_square_sum": torch.zeros(8)})


def test_an_unknown_kind():
    with pytest.raises(ValueError, match="wanted sgd or rowwise_adagrad, got 'adam'"):
        EmbeddingOptimizer(tables_of(architecture_of([9])), "adam", seed=1)  # type: ignore[arg-type]
