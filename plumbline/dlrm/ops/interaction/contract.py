"""The contract of `interaction`: pairwise dots of a row's vectors, as in DLRM.

Legend: B rows, F embeddings of a row, D their length, N = F + 1 vectors with a dense one and F
without, K = `interaction_width(F, D, has_dense)`.

    interaction(Tensor? dense, Tensor embeddings) -> Tensor

- `embeddings` is (B, F, D) with B >= 0, F >= 1, D >= 1; `dense` is (B, D), or None.
- The result is (B, K), contiguous, and shares no memory with the inputs. A row of it is

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
- Inputs need not be contiguous; the operator copies those that are not. Addresses need not be
  aligned.
- A value that is not finite affects only its own row.
- Deterministic: equal inputs give equal bits on one machine with one number of threads. The native
  kernels give equal bits for any number of threads.
- Differentiable once, in both inputs. The gradient of a vector is the sum over its partners,
  accumulated in float32 and rounded once; the zero padding passes no gradient.
- Anything else raises ValueError that names what was wanted and what was got.

`interaction_reference` is the specification in plain torch, differentiable by autograd, also in
float64. It is the fallback without a native module. Otherwise CPU tensors go to the kernels of the
widest instruction set that the processor supports, and GPU tensors to the CUDA kernels.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class InteractionKernels(Protocol):
    """Runs the operator on checked, contiguous tensors of one device and dtype.

    `out_BK` and the gradients are written in full; `dense_gradient_BD` is None if `dense_BD` is.
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
