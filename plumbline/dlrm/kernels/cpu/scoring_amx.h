// Linear layers and ReLU on tiles, in bfloat16 and int8. Only for loops, see instruction_set.h.
#pragma once

#include <cstdint>
#include <cstring>

#include "lanes.h"
#include "scoring_int8_loops.h"
#include "scoring_matrix.h"

namespace plumbline {
namespace {

// Bfloat16: `width` numbers of each row of `out` are written. The last inputs, which do not fill a
// tile, are copied and padded with zeros, because the numbers behind a row may be another one's.
template <typename Element>
void linear_relu_on_tiles(const PackedLayer &layer, const Activations &in, const Activations &out,
                          int64_t width, int64_t rows) {
  alignas(64) char tail[kMostRows * kTileBytes];
  MatrixRows inputs{static_cast<const char *>(in.numbers),
                    in.stride * static_cast<int64_t>(sizeof(Element)),
                    layer.depth / kTileDepth, nullptr};
  const auto bytes = static_cast<size_t>(layer.depth % kTileDepth * 4);
  if (bytes > 0) {
    inputs.tail = tail;
    for (int64_t row = 0; row < rows; ++row) {
      char *to = tail + row * kTileBytes;
      std::memset(to, 0, kTileBytes);
      std::memcpy(to, inputs.entries + row * inputs.stride + inputs.whole * kTileBytes, bytes);
    }
  }
  const auto keep = [&](int64_t row, int64_t panel, int64_t count, const float *sums) {
    const Floats bias = read<Floats>(layer.bias + panel * kPanel);
    const int64_t left = width - panel * kPanel;
    if (left <= 0) return;
    Element *to = static_cast<Element *>(out.numbers) + row * out.stride + panel * kPanel;
    for (int64_t r = 0; r < count; ++r)
      store(to + r * out.stride, relu(read<Floats>(sums + r * kPanel) + bias), left);
  };
  matrix<PairProducts, float>(layer, inputs, rows, keep);
}

// As int8_linear_relu, with the same bits.
template <typename Layer>
void int8_linear_relu_on_tiles(const Layer &layer, const Int8Rows &in, float *out,
                               int64_t out_stride, int64_t rows) {
  const MatrixRows inputs{reinterpret_cast<const char *>(in.numbers), in.stride,
                          layer.stored / kTileDepth, nullptr};
  const auto keep = [&](int64_t row, int64_t panel, int64_t count, const int32_t *sums) {
    const Floats scale = read<Floats>(layer.scale + panel * kPanel);
    const Floats bias = read<Floats>(layer.bias + panel * kPanel);
    float *to = out + row * out_stride + panel * kPanel;
    for (int64_t r = 0; r < count; ++r) {
      const Floats sum = __builtin_convertvector(read<Ints>(sums + r * kPanel), Floats);
      store(to + r * out_stride, relu(sum * in.scale[row + r] * scale + bias));
    }
  };
  matrix<QuadProducts, int32_t>(layer, inputs, rows, keep);
}

}  // namespace
}  // namespace plumbline
