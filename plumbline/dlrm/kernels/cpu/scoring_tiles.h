// A linear layer and ReLU, tile by tile. Only for loops, see instruction_set.h.
//
// A tile is R rows by C panels of outputs. Its sums stay in registers while the loop runs over the
// depth: one load per panel and one broadcast per row give R · C products.
#pragma once

#include <cstdint>
#include <cstring>

#include "lanes.h"
#include "scoring_loops.h"

namespace plumbline {
namespace {

static_assert(kLanes == kPanel);

// A register's lanes. GCC keeps vectors of this size in registers, but not larger ones.
#if defined(__AVX512F__)
constexpr int kPartLanes = 16;
#elif defined(__AVX2__)
constexpr int kPartLanes = 8;
#else
constexpr int kPartLanes = 4;
#endif
constexpr int kParts = kPanel / kPartLanes;
using Part = float __attribute__((vector_size(4 * kPartLanes)));
using PartWords = uint32_t __attribute__((vector_size(4 * kPartLanes)));

// A lane of a product is one float32.
struct Singles32 {
  using Element = float;
  using Lane = float;
  using Lanes = Part;
  static constexpr int64_t pair = 1;
#if defined(__AVX512F__)
  static constexpr int rows = 6, panels = 4;
#elif defined(__AVX2__)
  static constexpr int rows = 6, panels = 1;
#else
  static constexpr int rows = 2, panels = 1;
#endif

  static Part multiply_add(Part sum, Lane a, Lanes b) { return sum + a * b; }
};

// A lane of a product is two bfloat16, the first in the lower half.
struct Pairs16 {
  using Element = Bfloat16;
  using Lane = uint32_t;
  using Lanes = PartWords;
  static constexpr int64_t pair = 2;
#if defined(__AVX512BF16__)
  static constexpr int rows = 6, panels = 4;
#elif defined(__AVX512F__)
  static constexpr int rows = 6, panels = 2;
#elif defined(__AVX2__)
  static constexpr int rows = 4, panels = 1;
#else
  static constexpr int rows = 2, panels = 1;
#endif

  static Part multiply_add(Part sum, Lane a, Lanes b) {
#if defined(__AVX512BF16__)
    return reinterpret_cast<Part>(_mm512_dpbf16_ps(
        reinterpret_cast<__m512>(sum), reinterpret_cast<__m512bh>(_mm512_set1_epi32(int(a))),
        reinterpret_cast<__m512bh>(b)));
#else
    sum = sum + number(a << 16) * reinterpret_cast<Part>(b << 16);
    return sum + number(a & 0xFFFF0000u) * reinterpret_cast<Part>(b & 0xFFFF0000u);
#endif
  }

  static float number(uint32_t bits) {
    float made;
    std::memcpy(&made, &bits, sizeof made);
    return made;
  }
};

// Lanes from one depth to the next, in the group of the tile's panels.
template <class P>
struct TileOperands {
  const char *in;
  int64_t in_stride;  // bytes
  const typename P::Lane *weight;
  int64_t step;
  const float *bias;
  int64_t depth;
  typename P::Element *out;
  int64_t out_stride;  // numbers
  int64_t width;       // numbers written per row
};

template <class P, int R, int C>
void tile(const TileOperands<P> &at) {
  Part sum[R][C * kParts];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
    for (int c = 0; c < C * kParts; ++c) sum[r][c] = read<Part>(at.bias + c * kPartLanes);
  const typename P::Lane *weight = at.weight;
  const char *in = at.in;
  for (int64_t k = 0; k < at.depth; ++k, weight += at.step, in += sizeof(typename P::Lane)) {
    typename P::Lanes column[C * kParts];
#pragma GCC unroll 16
    for (int c = 0; c < C * kParts; ++c)
      column[c] = read<typename P::Lanes>(weight + c * kPartLanes);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      typename P::Lane one;
      std::memcpy(&one, in + r * at.in_stride, sizeof one);
#pragma GCC unroll 16
      for (int c = 0; c < C * kParts; ++c) sum[r][c] = P::multiply_add(sum[r][c], one, column[c]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c) {
      const Floats made = read<Floats>(&sum[r][c * kParts]);
      const int64_t left = at.width - c * kPanel;
      if (left > 0) store(at.out + r * at.out_stride + c * kPanel, relu(made), left);
    }
}

// `rows` <= R and `panels` <= C.
template <class P, int R, int C>
void tile_of(int64_t rows, int64_t panels, const TileOperands<P> &at) {
  if constexpr (R > 1)
    if (rows < R) return tile_of<P, R - 1, C>(rows, panels, at);
  if constexpr (C > 1)
    if (panels < C) return tile_of<P, R, C - 1>(rows, panels, at);
  tile<P, R, C>(at);
}

// Panels in the outer loop, rows in the inner: a panel's weights stay in the cache.
template <class P>
void linear_relu(const PackedLayer &layer, const Activations &in, const Activations &out,
                 int64_t width, int64_t rows) {
  static_assert(kPanelsInGroup % P::panels == 0, "panels of one tile lie in one group");
  using Element = typename P::Element;
  const auto *weight = static_cast<const typename P::Lane *>(layer.weight);
  for (int64_t panel = 0; panel < layer.panels; panel += P::panels) {
    const int64_t group = panel / kPanelsInGroup * kPanelsInGroup;
    const int64_t left = layer.panels - group;
    const int64_t in_group = left < kPanelsInGroup ? left : kPanelsInGroup;
    const int64_t panels_left = layer.panels - panel;
    TileOperands<P> at;
    at.in_stride = in.stride * static_cast<int64_t>(sizeof(Element));
    at.step = in_group * kPanel;
    at.weight = weight + group * kPanel * layer.stored + (panel - group) * kPanel;
    at.bias = layer.bias + panel * kPanel;
    at.depth = layer.depth;
    at.out_stride = out.stride;
    at.width = width - panel * kPanel;
    for (int64_t row = 0; row < rows; row += P::rows) {
      at.in = static_cast<const char *>(in.numbers) + row * at.in_stride;
      at.out = static_cast<Element *>(out.numbers) + row * out.stride + panel * kPanel;
      tile_of<P, P::rows, P::panels>(rows - row, panels_left, at);
    }
  }
}

}  // namespace
}  // namespace plumbline
