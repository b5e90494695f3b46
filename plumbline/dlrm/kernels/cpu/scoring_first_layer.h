// The first bottom layer in float32, without fused products. Only for loops, see instruction_set.h.
#pragma once

#include <cstdint>
#include <cstring>

#include "scoring_loops.h"

namespace plumbline {
namespace {

// Eight lanes: GCC keeps them in registers without AVX-512 too.
using Eight = float __attribute__((vector_size(32)));

// R rows by the outputs of a panel; `step` weights from one input to the next.
template <int R>
void first_tile(const float *in, int64_t in_stride, const float *weight, int64_t step,
                const float *bias, int64_t inputs, float *out, int64_t out_stride) {
  Eight sum[R][2];
  for (int r = 0; r < R; ++r) std::memcpy(sum[r], bias, sizeof sum[r]);
  for (int64_t k = 0; k < inputs; ++k) {
    Eight column[2];
    std::memcpy(column, weight + k * step, sizeof column);
    for (int r = 0; r < R; ++r)
      for (int half = 0; half < 2; ++half)
        sum[r][half] = sum[r][half] + in[r * in_stride + k] * column[half];
  }
  for (int r = 0; r < R; ++r)
    for (int half = 0; half < 2; ++half) {
      // This comparison keeps NaN.
      const Eight kept = sum[r][half] < 0.0f ? Eight{} : sum[r][half];
      std::memcpy(out + r * out_stride + 8 * half, &kept, sizeof kept);
    }
}

// Whole panels are written.
void first_layer(const PackedLayer &layer, const float *in, int64_t in_stride, float *out,
                 int64_t out_stride, int64_t rows) {
  constexpr int kRows = 4;
  for (int64_t panel = 0; panel < layer.panels; ++panel) {
    const int64_t group = panel / kPanelsInGroup * kPanelsInGroup, left = layer.panels - group;
    const int64_t step = (left < kPanelsInGroup ? left : kPanelsInGroup) * kPanel;
    const float *weight = static_cast<const float *>(layer.weight) +
                          group * kPanel * layer.stored + (panel - group) * kPanel;
    const float *bias = layer.bias + panel * kPanel;
    float *to = out + panel * kPanel;
    int64_t row = 0;
    for (; row + kRows <= rows; row += kRows)
      first_tile<kRows>(in + row * in_stride, in_stride, weight, step, bias, layer.depth,
                        to + row * out_stride, out_stride);
    for (; row < rows; ++row)
      first_tile<1>(in + row * in_stride, in_stride, weight, step, bias, layer.depth,
                    to + row * out_stride, out_stride);
  }
}

}  // namespace
}  // namespace plumbline
