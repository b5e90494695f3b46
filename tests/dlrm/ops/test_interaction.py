"""The ladder of `plumbline::interaction`: reference, gradients, opcheck, compile, odd shapes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from plumbline.dlrm.ops.interaction.operator import interaction, interaction_backward
from plumbline.dlrm.ops.interaction.reference import interaction_reference
from plumbline.dlrm.ops.interaction.width import interaction_width

SHAPES = [(0, 3, 4), (1, 1, 1), (2, 1, 5), (3, 2, 7), (5, 26, 16), (4, 27, 13), (2, 3, 130)]
DTYPES = [torch.float32, torch.bfloat16, torch.float16]


def draw(
    rows: int, features: int, dim: int, has_dense: bool, dtype: torch.dtype = torch.float32
) -> tuple[Tensor | None, Tensor]:
    generator = torch.Generator().manual_seed(rows + 10 * features + 1000 * dim)
    embeddings = torch.randn(rows, features, dim, generator=generator).to(dtype)
    dense = torch.randn(rows, dim, generator=generator).to(dtype) if has_dense else None
    return dense, embeddings


def spelled_out(dense: Tensor | None, embeddings: Tensor) -> tuple[Tensor, Tensor]:
    """The contract as plain loops in float64, and Σ|a·b| of every dot (0 elsewhere)."""
    rows, sums = [], []
    for b in range(len(embeddings)):
        vectors = [v.double() for v in embeddings[b]]
        row, size = [], []
        if dense is not None:
            vectors.insert(0, dense[b].double())
            row, size = dense[b].tolist(), [0.0] * dense.shape[1]
        for i in range(len(vectors)):
            for j in range(i):
                row.append(float(vectors[i] @ vectors[j]))
                size.append(float((vectors[i] * vectors[j]).abs().sum()))
        padding = -len(row) % 8
        rows.append(row + [0.0] * padding)
        sums.append(size + [0.0] * padding)
    return torch.tensor(rows, dtype=torch.float64), torch.tensor(sums, dtype=torch.float64)


@pytest.mark.parametrize("has_dense", [True, False])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_dot_is_within_its_bound(shape, dtype, has_dense):
    dense, embeddings = draw(*shape, has_dense, dtype)
    out = interaction(dense, embeddings)
    assert out.dtype == dtype
    assert out.is_contiguous()
    assert out.shape == (shape[0], interaction_width(shape[1], shape[2], has_dense))
    if shape[0] == 0:
        return
    wanted, sums = spelled_out(dense, embeddings)
    rounding = torch.finfo(dtype).eps / 2
    bound = shape[2] * 2.0**-23 * sums + rounding * wanted.abs() + torch.finfo(dtype).tiny
    assert ((out.double() - wanted).abs() <= bound).all()
    if dense is not None:
        assert torch.equal(out[:, : shape[2]], dense)
    pairs = (shape[1] + has_dense) * (shape[1] + has_dense - 1) // 2
    assert (out[:, has_dense * shape[2] + pairs :] == 0).all()


def test_order_of_a_row_is_dense_then_lower_triangle_then_zeros():
    dense = torch.tensor([[2.0, 0.0]])
    embeddings = torch.tensor([[[3.0, 1.0], [5.0, 10.0]]])
    assert interaction(dense, embeddings).tolist() == [[2, 0, 6, 10, 25, 0, 0, 0]]
    assert interaction(None, embeddings).tolist() == [[25, 0, 0, 0, 0, 0, 0, 0]]


def test_one_embedding_alone_has_no_pair():
    assert interaction(None, torch.ones(3, 1, 4)).shape == (3, 0)
    assert interaction_width(1, 4, has_dense=False) == 0


@settings(max_examples=40)
@given(st.integers(1, 40), st.integers(1, 150), st.booleans())
def test_width_is_the_next_multiple_of_8(features, dim, has_dense):
    vectors = features + has_dense
    content = has_dense * dim + sum(range(vectors))
    width = interaction_width(features, dim, has_dense)
    assert width % 8 == 0
    assert content <= width < content + 8


@pytest.mark.parametrize("has_dense", [True, False])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_gradients_equal_finite_differences_exactly(shape, has_dense):
    """Central differences of a quadratic are exact, and so are small integers in float32."""
    generator = torch.Generator().manual_seed(3)
    rows, _, dim = shape
    embeddings = torch.randint(-4, 5, shape, generator=generator).float().requires_grad_()
    inputs = [embeddings]
    dense = None
    if has_dense:
        dense = torch.randint(-4, 5, (rows, dim), generator=generator).float().requires_grad_()
        inputs.append(dense)
    out = interaction(dense, embeddings)
    weight = torch.randint(-3, 4, out.shape, generator=generator).float()
    gradients = torch.autograd.grad(out, inputs, weight)
    for tensor, gradient in zip(inputs, gradients, strict=True):
        for index in torch.randperm(tensor.numel(), generator=generator)[:12].tolist():
            step = torch.zeros_like(tensor)
            step.view(-1)[index] = 1.0

            def total(sign: int, tensor: Tensor = tensor, step: Tensor = step) -> Tensor:
                moved = [t.detach() + sign * step if t is tensor else t.detach() for t in inputs]
                return (interaction(moved[1] if has_dense else None, moved[0]) * weight).sum()

            assert gradient.view(-1)[index] == (total(1) - total(-1)) / 2


@pytest.mark.parametrize("has_dense", [True, False])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_gradients_equal_those_of_the_reference_in_float64(dtype, has_dense):
    dense, embeddings = draw(5, 7, 9, has_dense, dtype)
    inputs = [t for t in (embeddings, dense) if t is not None]
    wide = [t.double().requires_grad_() for t in inputs]
    narrow = [t.clone().requires_grad_() for t in inputs]
    out = interaction(narrow[1] if has_dense else None, narrow[0])
    weight = torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    reference = interaction_reference(wide[1] if has_dense else None, wide[0])
    wanted = torch.autograd.grad(reference, wide, weight.double())
    sums = torch.autograd.grad(
        interaction_reference(*[t.abs() for t in reversed(wide)])
        if has_dense
        else interaction_reference(None, wide[0].abs()),
        wide,
        weight.double().abs(),
    )
    eps = torch.finfo(dtype).eps / 2
    for actual, want, size in zip(
        torch.autograd.grad(out, narrow, weight), wanted, sums, strict=True
    ):
        assert actual.dtype == dtype
        bound = 9 * 2.0**-23 * size.abs() + eps * want.abs()
        assert ((actual.double() - want).abs() <= bound).all()


@pytest.mark.parametrize("has_dense", [True, False])
def test_reference_passes_gradcheck(has_dense):
    dense, embeddings = draw(2, 3, 5, has_dense)
    inputs = [embeddings.double().requires_grad_()]
    if dense is not None:
        inputs.append(dense.double().requires_grad_())
    assert torch.autograd.gradcheck(
        lambda e, d=None: interaction_reference(d, e), inputs, fast_mode=False
    )


@pytest.mark.parametrize("has_dense", [True, False])
@pytest.mark.parametrize("shape", [(0, 3, 4), (3, 2, 7)], ids=str)
def test_opcheck(shape, has_dense):
    dense, embeddings = draw(*shape, has_dense)
    if dense is not None:
        dense.requires_grad_()
    torch.library.opcheck(interaction, (dense, embeddings.requires_grad_()))
    gradient = torch.randn(shape[0], interaction_width(shape[1], shape[2], has_dense))
    detached = None if dense is None else dense.detach()
    torch.library.opcheck(interaction_backward, (gradient, detached, embeddings.detach()))


@pytest.mark.parametrize("dynamic", [False, True])
def test_compiles_as_one_graph(dynamic):
    compiled = torch.compile(
        lambda d, e: interaction(d, e).sin().sum(),
        fullgraph=True,
        backend="aot_eager",
        dynamic=dynamic,
    )
    dense, embeddings = draw(4, 3, 6, True)
    eager = [dense.clone().requires_grad_(), embeddings.clone().requires_grad_()]
    traced = [dense.clone().requires_grad_(), embeddings.clone().requires_grad_()]
    interaction(*eager).sin().sum().backward()
    compiled(*traced).backward()
    for one, other in zip(eager, traced, strict=True):
        assert torch.equal(one.grad, other.grad)


def test_non_contiguous_inputs_give_the_same():
    dense, embeddings = draw(6, 5, 4, True)
    strided_dense = dense.repeat(1, 2)[:, ::2].copy_(dense)
    strided = embeddings.transpose(0, 2).contiguous().transpose(0, 2)
    assert not strided.is_contiguous()
    assert not strided_dense.is_contiguous()
    assert torch.equal(interaction(strided_dense, strided), interaction(dense, embeddings))


def test_result_shares_no_memory_and_is_deterministic():
    dense, embeddings = draw(3, 1, 8, True)
    first = interaction(dense, embeddings)
    assert torch.equal(first, interaction(dense, embeddings))
    kept = first.clone()
    dense.zero_()
    assert torch.equal(first, kept)


@pytest.mark.parametrize(
    ("dense", "embeddings", "message"),
    [
        (None, torch.ones(2, 3), r"shape \(B, F, D\) with F >= 1 and D >= 1, got \(2, 3\)"),
        (None, torch.ones(2, 0, 3), r"F >= 1 and D >= 1, got \(2, 0, 3\)"),
        (None, torch.ones(2, 1, 0), r"F >= 1 and D >= 1, got \(2, 1, 0\)"),
        (None, torch.ones(2, 1, 3, dtype=torch.float64), "float32, bfloat16 or float16, got fl"),
        (torch.ones(3, 3), torch.ones(2, 1, 3), r"dense of shape \(2, 3\) .* got \(3, 3\)"),
        (torch.ones(2, 4), torch.ones(2, 1, 3), r"dense of shape \(2, 3\) .* got \(2, 4\)"),
        (torch.ones(2, 3).half(), torch.ones(2, 1, 3), "dtype float32 .* got float16"),
        (torch.ones(2, 3, device="meta"), torch.ones(2, 1, 3), "dense on cpu .* got meta"),
    ],
)
def test_refuses_what_does_not_fit(dense, embeddings, message):
    with pytest.raises(ValueError, match=message):
        interaction(dense, embeddings)


def test_backward_refuses_another_gradient():
    with pytest.raises(ValueError, match=r"gradient of shape \(2, 8\), float32 on cpu, got \(2, 7"):
        interaction_backward(torch.ones(2, 7), torch.ones(2, 3), torch.ones(2, 1, 3))
