// The interaction's CPU kernels: pairwise dots of a row's vectors, and their gradients. The contract
// stands at the head of plumbline/dlrm/ops/interaction/operator.py; pointers here are of checked, contiguous tensors.
//
// Beyond the contract: the instruction set avx512bf16 takes subnormal inputs, products and sums as
// zero (an error of at most the smallest normal number a product).
#pragma once

#include <cstdint>

#include "instruction_set.h"

namespace plumbline::interaction {

enum class Dtype { float32, bfloat16, float16 };

struct Shape {
  int64_t rows, features, dim;
  bool has_dense;

  int64_t vectors() const { return features + has_dense; }
  int64_t pairs() const { return vectors() * (vectors() - 1) / 2; }
  int64_t content() const { return (has_dense ? dim : 0) + pairs(); }
  // Columns of the result: the content and zeros to a multiple of 8.
  int64_t width() const { return (content() + 7) / 8 * 8; }
};

// What one instruction set has for one dtype. Both functions take the rows begin … end − 1, in
// scratch of their own, aligned to 64 bytes.
struct Kernels {
  using Forward = void(const Shape &, const void *dense, const void *embeddings, void *out,
                       int64_t begin, int64_t end, void *scratch);
  using Backward = void(const Shape &, const void *gradient, const void *dense,
                        const void *embeddings, void *dense_gradient, void *embedding_gradient,
                        int64_t begin, int64_t end, void *scratch);
  using Size = int64_t(const Shape &);  // bytes

  Forward *forward = nullptr;
  Size *forward_scratch = nullptr;
  Backward *backward = nullptr;
  Size *backward_scratch = nullptr;
};

// Where there are none for a dtype, `kernels` takes those of the next narrower instruction set.
Kernels plain_kernels(Dtype);
Kernels avx2_kernels(Dtype);
Kernels avx512_kernels(Dtype);
Kernels avx512bf16_kernels(Dtype);
Kernels kernels(InstructionSet, Dtype);

// `dense` and `dense_gradient` are read and written only where the shape has a dense vector.
void forward(InstructionSet, Dtype, const Shape &, const void *dense, const void *embeddings,
             void *out, int threads);
void backward(InstructionSet, Dtype, const Shape &, const void *gradient, const void *dense,
              const void *embeddings, void *dense_gradient, void *embedding_gradient, int threads);

}  // namespace plumbline::interaction
