// The inner loop of the gradient of ReLU, one per instruction set, and its arguments.
#pragma once

#include <cstdint>

#include "dtypes.h"
#include "instruction_set.h"

namespace plumbline {

// Row-major matrices of one dtype; `kept` may be `gradient`.
struct ReluGradient {
  const void *gradient, *output;
  void *kept;
  int64_t rows, columns;
};

// Writes the rows in [begin, end), and their sum to `sum`, which has room for `columns` rounded up
// to a multiple of kColumnsAtATime.
using ReluGradientLoop = void(const ReluGradient &, int64_t begin, int64_t end, float *sum);

constexpr int64_t kColumnsAtATime = 16;

// Defined in relu_gradient_loops.cpp.
template <InstructionSet>
ReluGradientLoop *relu_gradient_loops(Dtype);
template <>
ReluGradientLoop *relu_gradient_loops<InstructionSet::plain>(Dtype);
template <>
ReluGradientLoop *relu_gradient_loops<InstructionSet::avx2>(Dtype);
template <>
ReluGradientLoop *relu_gradient_loops<InstructionSet::emulatedamx>(Dtype);
template <>
ReluGradientLoop *relu_gradient_loops<InstructionSet::avx512>(Dtype);
template <>
ReluGradientLoop *relu_gradient_loops<InstructionSet::avx512bf16>(Dtype);
template <>
ReluGradientLoop *relu_gradient_loops<InstructionSet::amx>(Dtype);

}  // namespace plumbline
