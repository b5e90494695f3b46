// An int8 linear layer and ReLU, tile by tile, as in scoring_tiles.h. Only for loops, see
// instruction_set.h.
#pragma once

#include <cstdint>
#include <cstring>

#include "scoring_int8_loops.h"
#include "scoring_quads.h"

namespace plumbline {
namespace {

#if defined(__AVX512F__)
constexpr int kInt8Rows = 6, kInt8Panels = 4;
#elif defined(__AVX2__)
constexpr int kInt8Rows = 4, kInt8Panels = 1;
#else
constexpr int kInt8Rows = 2, kInt8Panels = 1;
#endif

struct Int8Tile {
  const int8_t *in;
  int64_t in_stride;
  const float *in_scale;
  const uint32_t *weight;
  int64_t step;  // from one depth to the next
  const float *scale, *bias;
  int64_t depth;
  float *out;
  int64_t out_stride;
};

template <bool Signed, int R, int C>
void int8_tile(const Int8Tile &at) {
  Sums sum[R][C];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c) sum[r][c] = no_sums();
  const uint32_t *weight = at.weight;
  const int8_t *in = at.in;
  for (int64_t k = 0; k < at.depth; ++k, weight += at.step, in += kQuad) {
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      uint32_t quad;
      std::memcpy(&quad, in + r * at.in_stride, sizeof quad);
      const Quads one = repeated(quad);
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c) {
        const Quads column = read_quads(weight + c * kPanel);
        sum[r][c] = Signed ? add_products(sum[r][c], magnitude(one), with_signs(column, one))
                           : add_products(sum[r][c], one, column);
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c) {
      const Floats product = __builtin_convertvector(integers(sum[r][c]), Floats) * at.in_scale[r];
      const Floats made = product * read<Floats>(at.scale + c * kPanel) +
                          read<Floats>(at.bias + c * kPanel);
      store(at.out + r * at.out_stride + c * kPanel, relu(made));
    }
}

// `rows` <= R and `panels` <= C.
template <bool Signed, int R, int C>
void int8_tile_of(int64_t rows, int64_t panels, const Int8Tile &at) {
  if constexpr (R > 1)
    if (rows < R) return int8_tile_of<Signed, R - 1, C>(rows, panels, at);
  if constexpr (C > 1)
    if (panels < C) return int8_tile_of<Signed, R, C - 1>(rows, panels, at);
  int8_tile<Signed, R, C>(at);
}

template <bool Signed>
void int8_tiles(const Int8Layer &layer, const Int8Rows &in, float *out, int64_t out_stride,
                int64_t rows) {
  static_assert(kPanelsInGroup % kInt8Panels == 0, "panels of one tile lie in one group");
  const auto *weight = static_cast<const uint32_t *>(layer.weight);
  for (int64_t panel = 0; panel < layer.panels; panel += kInt8Panels) {
    const int64_t group = panel / kPanelsInGroup * kPanelsInGroup;
    const int64_t left = layer.panels - group;
    Int8Tile at;
    at.in_stride = in.stride;
    at.step = (left < kPanelsInGroup ? left : kPanelsInGroup) * kPanel;
    at.weight = weight + group * kPanel * layer.stored + (panel - group) * kPanel;
    at.scale = layer.scale + panel * kPanel;
    at.bias = layer.bias + panel * kPanel;
    at.depth = layer.depth;
    at.out_stride = out_stride;
    for (int64_t row = 0; row < rows; row += kInt8Rows) {
      at.in = in.numbers + row * in.stride;
      at.in_scale = in.scale + row;
      at.out = out + row * out_stride + panel * kPanel;
      int8_tile_of<Signed, kInt8Rows, kInt8Panels>(rows - row, layer.panels - panel, at);
    }
  }
}

void int8_linear_relu(const Int8Layer &layer, const Int8Rows &in, float *out, int64_t out_stride,
                      int64_t rows) {
  if (layer.signed_inputs)
    int8_tiles<true>(layer, in, out, out_stride, rows);
  else
    int8_tiles<false>(layer, in, out, out_stride, rows);
}

}  // namespace
}  // namespace plumbline
