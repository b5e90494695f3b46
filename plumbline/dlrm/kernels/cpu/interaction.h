// The interaction's CPU kernels: pairwise dots of a row's vectors, and their gradients.
//
// Contract (in full: plumbline/dlrm/ops/interaction/contract.py): pointers are to checked,
// contiguous tensors. Zero rows are valid. Results have the same bits for any number of threads. A
// dot of D products has an error of at most D · 2⁻²³ · Σ|a·b| plus one rounding to the dtype. In
// addition, bfloat16 kernels of the instruction sets avx512bf16 and amx treat subnormal inputs,
// products and sums as zero (an error of at most the smallest normal number per product).
#pragma once

#include <cstdint>

#include "dtypes.h"
#include "instruction_set.h"

namespace plumbline::interaction {

struct Shape {
  int64_t rows, features, dim;
  bool has_dense;

  [[gnu::always_inline]] int64_t vectors() const { return features + has_dense; }
  [[gnu::always_inline]] int64_t pairs() const { return vectors() * (vectors() - 1) / 2; }
  [[gnu::always_inline]] int64_t content() const { return (has_dense ? dim : 0) + pairs(); }
  // Columns of the result: the content and zeros to a multiple of 8.
  [[gnu::always_inline]] int64_t width() const { return (content() + 7) / 8 * 8; }
};

// The kernels of one instruction set for one dtype. Both functions process rows [begin, end), with
// scratch memory of their own, aligned to 64 bytes.
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

// Defined in interaction_loops.cpp. The pointers are null for a dtype without kernels; `kernels`
// then uses those of the next narrower instruction set.
template <InstructionSet>
Kernels loops(Dtype);
template <>
Kernels loops<InstructionSet::plain>(Dtype);
template <>
Kernels loops<InstructionSet::avx2>(Dtype);
template <>
Kernels loops<InstructionSet::emulatedamx>(Dtype);
template <>
Kernels loops<InstructionSet::avx512>(Dtype);
template <>
Kernels loops<InstructionSet::avx512bf16>(Dtype);
template <>
Kernels loops<InstructionSet::amx>(Dtype);
Kernels kernels(InstructionSet, Dtype);

// `dense` and `dense_gradient` are used only if the shape has a dense vector.
void forward(InstructionSet, Dtype, const Shape &, const void *dense, const void *embeddings,
             void *out, int threads);
void backward(InstructionSet, Dtype, const Shape &, const void *gradient, const void *dense,
              const void *embeddings, void *dense_gradient, void *embedding_gradient, int threads);

}  // namespace plumbline::interaction
