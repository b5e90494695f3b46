"""The contract of `interaction`: pairwise dots of a row's vectors, as in DLRM.

Legend: B rows, F embeddings of a row, D their length, N = F + 1 vectors with a dense one and F
without, K = `interaction_width(F, D, has_dense)`.

    interaction(Tensor? dense, Tensor embeddings) -> Tensor

- `embeddings` is (B, F, D) with B >= 0, F >= 1, D >= 1; `dense` is (B, D), or None.
- The result is (B, K), contiguous, shares no memory with the inputs. A row of it is

      dense[0] … dense[D-1]                              (only with `dense`)
      v1·v0, v2·v0, v2·v1, v3·v0, …, v(N-1)·v(N-2)       (strict lower triangle, row by row)
      0 … 0                                              (up to the next multiple of 8)

  where v0 is `dense` and v1 … vF are the embeddings; without `dense` v0 … v(F-1) are the
  embeddings. F = 1 without `dense` has no pair, and K is 0.
- float32, bfloat16 and float16, one dtype and one device for both; the result has that dtype.
  Products are summed in float32 and rounded once: a dot differs from the exact one by at most
  D · 2⁻²³ · Σ|a·b| + one rounding to the result's dtype. The dense part is an exact copy.
- Magnitudes below 2⁻¹²⁶, float32's smallest normal number, may count as zero: in the inputs of
  bfloat16, in products and in sums.
- Inputs need not be contiguous: the operator makes them so. Their address need not be aligned.
- A value that is not finite in one row changes no other row.
- Deterministic: equal inputs give equal bits on one machine, with one number of threads. Native
  kernels give equal bits whatever the number of threads.
- Differentiable once, in both inputs. The gradient of a vector is the sum over its partners,
  accumulated in float32 and rounded once; the zeros at the end pass no gradient on.
- Anything else raises ValueError naming what was wanted and what was got.

`interaction_reference` is the specification in plain torch, differentiable by autograd, and also
takes float64. It runs where there is no native module; else tensors on a CPU go to the kernels of
the widest instruction set that the processor has, and those on a GPU to the CUDA kernels.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class InteractionKernels(Protocol):
    """What runs the operator on checked, contiguous tensors of one device and dtype.

    `out_BK` and the gradients are written whole; `dense_gradient_BD` is None where `dense_BD` is.
    """

    def forward(self, dense_BD: Tensor | None, embeddings_BFD: Tensor, out_BK: Tensor) -> None:
        """Write the result into `out_BK`."""

    def backward(
        self,
        gradient_BK: Tensor,
        dense_BD: Tensor | None,
        embeddings_BFD: Tensor,
        dense_gradient_BD: Tensor | None,
        embedding_gradient_BFD: Tensor,
    ) -> None:
        """Write the inputs' gradients."""
