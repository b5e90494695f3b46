// Products of rows and packed weights on tiles. Only for loops, see instruction_set.h.
//
// An entry is four bytes: a pair of bfloat16, or four int8. A block is up to two tiles of rows by
// two panels of outputs: four tiles of sums, which stay in their registers over the whole depth.
// The last tile of rows has as many rows as there are. A row's sums are added in the same order in
// any tile.
#pragma once

#include <cstdint>
#include <cstring>

#include "scoring_loops.h"
#include "tiles.h"

namespace plumbline {
namespace {

struct PairProducts {
  template <int C, int A, int B>
  [[gnu::always_inline]] static void add(Tiles &tiles) {
    tiles.dot_bf16<C, A, B>();
  }
};

struct QuadProducts {
  template <int C, int A, int B>
  [[gnu::always_inline]] static void add(Tiles &tiles) {
    tiles.dot_s8s8<C, A, B>();
  }
};

// Inputs of rows; `tail` has the entries past the last whole tile, and zeros, `kTileBytes` a row.
struct MatrixRows {
  const char *entries;
  int64_t stride;  // bytes
  int64_t whole;   // tiles
  const char *tail;  // null if there is none
};

// The weights of two panels; `step` entries from one depth to the next.
struct MatrixPanels {
  const uint32_t *weight;
  int64_t step;
};

// Tiles: sums 0 to 3 (row · 2 + panel), rows 4 and 5, weights 6 and 7.
template <class Products, int R, int C>
[[gnu::always_inline]] inline void add_depth(Tiles &tiles, const char *entries, int64_t stride,
                                             const uint32_t *weight, int64_t step) {
  tiles.load<6>(weight, step * 4);
  tiles.load<4>(entries, stride);
  Products::template add<0, 4, 6>(tiles);
  if constexpr (C > 1) {
    tiles.load<7>(weight + kPanel, step * 4);
    Products::template add<1, 4, 7>(tiles);
  }
  if constexpr (R > 1) {
    tiles.load<5>(entries + kTileRows * stride, stride);
    Products::template add<2, 5, 6>(tiles);
    if constexpr (C > 1) Products::template add<3, 5, 7>(tiles);
  }
}

// sums[r][c] are tiles of 16 × 16.
template <class Products, int R, int C, typename Sum>
void matrix_block(Tiles &tiles, const MatrixRows &rows, const MatrixPanels &panels,
                  Sum (*sums)[2][kTileRows * kPanel]) {
  tiles.zero<0>();
  if constexpr (C > 1) tiles.zero<1>();
  if constexpr (R > 1) tiles.zero<2>();
  if constexpr (R > 1 && C > 1) tiles.zero<3>();
  const char *entries = rows.entries;
  const uint32_t *weight = panels.weight;
  for (int64_t k = 0; k < rows.whole; ++k) {
    add_depth<Products, R, C>(tiles, entries, rows.stride, weight, panels.step);
    entries += kTileBytes;
    weight += kTileDepth * panels.step;
  }
  if (rows.tail) add_depth<Products, R, C>(tiles, rows.tail, kTileBytes, weight, panels.step);
  tiles.store<0>(sums[0][0], kPanel * 4);
  if constexpr (C > 1) tiles.store<1>(sums[0][1], kPanel * 4);
  if constexpr (R > 1) tiles.store<2>(sums[1][0], kPanel * 4);
  if constexpr (R > 1 && C > 1) tiles.store<3>(sums[1][1], kPanel * 4);
}

// `last` rows in the last of R tiles of rows.
template <int R>
TileShapes matrix_shapes(int64_t last) {
  TileShapes shapes;
  for (int r = 0; r < R; ++r) {
    const int64_t rows = r + 1 < R ? kTileRows : last;
    shapes.set(4 + r, rows, kTileBytes);
    for (int c = 0; c < 2; ++c) shapes.set(2 * r + c, rows, kTileBytes);
  }
  for (int c = 0; c < 2; ++c) shapes.set(6 + c, kTileDepth, kTileBytes);
  return shapes;
}

// Calls keep(row, panel, rows of the tile, sums) for all panels of `count` rows: a multiple of R
// tiles, or what R tiles hold. Panels in the outer loop, so their weights stay in the cache.
template <class Products, typename Sum, int R, class Keep>
void matrix_rows(const PackedLayer &layer, const MatrixRows &rows, int64_t begin, int64_t count,
                 const Keep &keep) {
  constexpr int64_t kBlock = R * kTileRows;
  const int64_t last = count % kBlock == 0 ? kTileRows : count - (R - 1) * kTileRows;
  Tiles tiles(matrix_shapes<R>(last));
  alignas(64) Sum sums[R][2][kTileRows * kPanel];
  for (int64_t panel = 0; panel < layer.panels; panel += 2) {
    const int64_t group = panel / kPanelsInGroup * kPanelsInGroup, left = layer.panels - group;
    const int64_t step = (left < kPanelsInGroup ? left : kPanelsInGroup) * kPanel;
    const MatrixPanels panels{static_cast<const uint32_t *>(layer.weight) +
                                  group * kPanel * layer.stored + (panel - group) * kPanel,
                              step};
    const bool both = panel + 1 < layer.panels;
    for (int64_t row = begin; row < begin + count; row += kBlock) {
      MatrixRows own = rows;
      own.entries += row * rows.stride;
      if (own.tail) own.tail += row * kTileBytes;
      if (both)
        matrix_block<Products, R, 2>(tiles, own, panels, sums);
      else
        matrix_block<Products, R, 1>(tiles, own, panels, sums);
      for (int r = 0; r < R; ++r)
        for (int c = 0; c < (both ? 2 : 1); ++c)
          keep(row + r * kTileRows, panel + c, r + 1 < R ? kTileRows : last, sums[r][c]);
    }
  }
}

// All rows: blocks of two tiles, then what is left.
template <class Products, typename Sum, class Keep>
void matrix(const PackedLayer &layer, const MatrixRows &in, int64_t rows, const Keep &keep) {
  const int64_t pairs = rows / (2 * kTileRows) * (2 * kTileRows), left = rows - pairs;
  if (pairs > 0) matrix_rows<Products, Sum, 2>(layer, in, 0, pairs, keep);
  if (left > kTileRows)
    matrix_rows<Products, Sum, 2>(layer, in, pairs, left, keep);
  else if (left > 0)
    matrix_rows<Products, Sum, 1>(layer, in, pairs, left, keep);
}

}  // namespace
}  // namespace plumbline
