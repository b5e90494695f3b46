// The backward pass on tiles, for bfloat16.
//
// The gradient of a row's N vectors V is S · V, see interaction_backward.h. Rows of S in blocks of
// 16 are the left tiles; the last block ends at row N − 1, and so overlaps with the one before. The
// right tiles are pairs of vectors, side by side: two tiles of 16 columns, which are a line of V.
//
// One line of all vectors is a unit of work. While it is multiplied, the next one is packed and the
// one before rounded and written: no load waits for a store that has just been made.
#pragma once

#include "interaction_amx_lines.h"
#include "interaction_backward.h"
#include "tiles.h"

namespace plumbline::interaction {
namespace {

class AmxBackward {
 public:
  static int64_t scratch(const Shape &shape) { return 2 * Sizes(shape).stage(); }

  static void rows(const Shape &shape, const void *gradient, const void *dense,
                   const void *embeddings, void *dense_gradient, void *embedding_gradient,
                   int64_t begin, int64_t end, void *scratch) {
    if (begin == end) return;
    AmxBackward(shape, static_cast<const Bfloat16 *>(gradient), dense, embeddings, dense_gradient,
                embedding_gradient, static_cast<char *>(scratch))
        .run(begin, end);
  }

 private:
  struct Sizes {
    explicit Sizes(const Shape &shape)
        : count(shape.vectors()),
          lines(parts_of(shape.dim, kLine)),
          blocks(parts_of(count, kTileRows)),
          block_rows(smaller(count, kTileRows)),
          steps(parts_of(count, kLine)),
          depth(round_up(parts_of(count, steps), 2)),
          side(round_up(steps * depth, LineSquares::width)) {}

    int64_t pairs() const { return steps * depth / 2; }
    // Bytes: S, the pairs of a line, and the gradients of a line.
    int64_t symmetric_bytes() const { return round_up(side * side * 2, 64); }
    int64_t pairs_bytes() const { return pairs() * 2 * kTileBytes; }
    int64_t sums_bytes() const { return count * 2 * kTileBytes; }
    int64_t stage() const { return symmetric_bytes() + pairs_bytes() + sums_bytes(); }

    int64_t count;       // vectors
    int64_t lines;       // of a vector
    int64_t blocks;      // of rows
    int64_t block_rows;  // rows of every block
    int64_t steps;       // products over the number of vectors
    int64_t depth;       // vectors in one product: even, at most 32
    int64_t side;        // of S with its padding
  };

  struct Unit {
    int64_t row, line;
  };

  // S is kept for rows in turn, the others for units in turn.
  struct Stage {
    Symmetric<LineSquares> symmetric;
    Line *pairs;
    float *sums;
  };

  AmxBackward(const Shape &shape, const Bfloat16 *gradient, const void *dense,
              const void *embeddings, void *dense_gradient, void *embedding_gradient,
              char *scratch)
      : shape_(shape),
        sizes_(shape),
        gradient_(gradient),
        dense_(dense),
        embeddings_(embeddings),
        dense_gradient_(dense_gradient),
        embedding_gradient_(embedding_gradient),
        streamed_(is_streamed<Bfloat16>(shape, dense_gradient, embedding_gradient)) {
    // Zeros stay where S and the pairs have padding.
    std::memset(scratch, 0, static_cast<size_t>(AmxBackward::scratch(shape)));
    for (Stage &stage : stages_) {
      char *pairs = scratch + sizes_.symmetric_bytes();
      char *sums = pairs + sizes_.pairs_bytes();
      stage = {{reinterpret_cast<Bfloat16 *>(scratch), sizes_.side},
               reinterpret_cast<Line *>(pairs),
               reinterpret_cast<float *>(sums)};
      scratch += sizes_.stage();
    }
  }

  void run(int64_t begin, int64_t end) const {
    Tiles tiles(shapes());
    const int64_t units = (end - begin) * sizes_.lines;
    Unit before{}, now{begin, 0}, next = after(now);
    pack(now, stages_[0]);
    for (int64_t unit = 0; unit < units; ++unit) {
      const Stage &here = stages_[unit % 2], &there = stages_[(unit + 1) % 2];
      multiply(tiles, now, here, [&] {
        if (unit + 1 < units) pack(next, there);
        if (unit > 0) write(before, there);
      });
      before = now, now = next, next = after(next);
    }
    write(before, stages_[(units - 1) % 2]);
    if (streamed_) end_of_stream();
  }

  Unit after(Unit unit) const {
    return unit.line + 1 < sizes_.lines ? Unit{unit.row, unit.line + 1} : Unit{unit.row + 1, 0};
  }

  // Tiles 0 to 3 are the gradients of two blocks, 4 and 5 blocks of S, 6 and 7 halves of a line.
  TileShapes shapes() const {
    TileShapes shapes;
    for (int tile = 0; tile < 4; ++tile) shapes.set(tile, sizes_.block_rows, kTileBytes);
    for (int tile = 4; tile < 6; ++tile) shapes.set(tile, sizes_.block_rows, sizes_.depth * 2);
    for (int tile = 6; tile < 8; ++tile) shapes.set(tile, sizes_.depth / 2, kTileBytes);
    return shapes;
  }

  Symmetric<LineSquares> symmetric(int64_t row) const {
    return stages_[row % 2].symmetric;
  }

  void pack(Unit unit, const Stage &stage) const {
    if (unit.line == 0) {
      const int64_t width = shape_.width();
      const Bfloat16 *triangle = gradient_ + unit.row * width;
      for (int64_t k = 0; k < width; k += kLine) __builtin_prefetch(triangle + width + k);
      if (shape_.has_dense) triangle += shape_.dim;
      spread(triangle, sizes_.count, symmetric(unit.row));
    }
    const auto row = vectors_of<const Bfloat16>(shape_, dense_, embeddings_, unit.row);
    const int64_t d = unit.line * kLine, count = smaller(shape_.dim - d, kLine);
    if (count == kLine)
      pack_line(row, d, kLine, stage.pairs);
    else
      pack_line(row, d, count, stage.pairs);
  }

  [[gnu::always_inline]] void pack_line(const Vectors<const Bfloat16> &row, int64_t d,
                                        int64_t count, Line *to) const {
    const int64_t next_row = shape_.features * shape_.dim;
    LinesAhead ahead(row.embeddings + next_row + d * shape_.features);
    const auto line = [&](int64_t vector) {
      const Bfloat16 *from = row[vector] + d;
      ahead.fetch(1);
      return count == kLine ? read<Line>(from) : read_line(from, count);
    };
    for (int64_t k = 0; k < sizes_.count; k += 2, to += 2) {
      Line pairs[2];
      interleave(line(k), k + 1 < sizes_.count ? line(k + 1) : Line{}, pairs);
      to[0] = pairs[0];
      to[1] = pairs[1];
    }
  }

  int64_t first_row(int64_t block) const {
    return block + 1 < sizes_.blocks ? block * kTileRows : sizes_.count - sizes_.block_rows;
  }

  // `meanwhile` is called while tiles are multiplied.
  template <class Meanwhile>
  void multiply(Tiles &tiles, Unit unit, const Stage &stage, const Meanwhile &meanwhile) const {
    for (int64_t block = 0; block < sizes_.blocks; block += 2) {
      if (block + 1 < sizes_.blocks)
        product<true>(tiles, unit, block, stage, meanwhile);
      else
        product<false>(tiles, unit, block, stage, meanwhile);
    }
  }

  // One or two blocks of S by both halves of the line.
  template <bool kTwoBlocks, class Meanwhile>
  void product(Tiles &tiles, Unit unit, int64_t block, const Stage &stage,
               const Meanwhile &meanwhile) const {
    const auto symmetric = this->symmetric(unit.row);
    const int64_t stride = symmetric.stride * 2, pair = 2 * kTileBytes;
    const int64_t upper = first_row(block), lower = kTwoBlocks ? first_row(block + 1) : 0;
    // Blocks that are in the tiles since the row's first line stay there.
    const bool load = unit.line == 0 || sizes_.steps > 1 || sizes_.blocks > 2;
    tiles.zero<0>(), tiles.zero<1>();
    if constexpr (kTwoBlocks) tiles.zero<2>(), tiles.zero<3>();
    const int64_t depth = sizes_.depth;
    const Line *pairs = stage.pairs;
    for (int64_t k = 0; k < sizes_.steps * depth; k += depth, pairs += depth) {
      if (load) tiles.load<4>(symmetric.at(upper, k), stride);
      tiles.load<6>(pairs, pair);
      tiles.load<7>(pairs + 1, pair);
      tiles.dot_bf16<0, 4, 6>();
      tiles.dot_bf16<1, 4, 7>();
      if constexpr (kTwoBlocks) {
        if (load) tiles.load<5>(symmetric.at(lower, k), stride);
        tiles.dot_bf16<2, 5, 6>();
        tiles.dot_bf16<3, 5, 7>();
      }
    }
    if (block == 0) meanwhile();
    tiles.store<0>(stage.sums + upper * kLine, pair);
    tiles.store<1>(stage.sums + upper * kLine + kTileRows, pair);
    if constexpr (kTwoBlocks) {
      tiles.store<2>(stage.sums + lower * kLine, pair);
      tiles.store<3>(stage.sums + lower * kLine + kTileRows, pair);
    }
  }

  void write(Unit unit, const Stage &stage) const {
    const int64_t d = unit.line * kLine, count = smaller(shape_.dim - d, kLine);
    const float *sums = stage.sums;
    if (shape_.has_dense) {
      const Bfloat16 *direct = gradient_ + unit.row * shape_.width() + d;
      const Floats first = read<Floats>(sums) + load(direct, count);
      const Floats second = read<Floats>(sums + kLanes) +
                            (count > kLanes ? load(direct + kLanes, count - kLanes) : Floats{});
      auto *to = static_cast<Bfloat16 *>(dense_gradient_) + unit.row * shape_.dim + d;
      put_line(to, rounded(first, second), count);
      sums += kLine;
    }
    auto *to = static_cast<Bfloat16 *>(embedding_gradient_) +
               unit.row * shape_.features * shape_.dim + d;
    for (int64_t i = 0; i < shape_.features; ++i, to += shape_.dim, sums += kLine)
      put_line(to, rounded(read<Floats>(sums), read<Floats>(sums + kLanes)), count);
  }

  [[gnu::always_inline]] void put_line(Bfloat16 *to, Line line, int64_t count) const {
    if (streamed_)
      stream_line(to, line);
    else
      write_line(to, line, count);
  }

  const Shape shape_;
  const Sizes sizes_;
  const Bfloat16 *gradient_;
  const void *dense_, *embeddings_;
  void *dense_gradient_, *embedding_gradient_;
  const bool streamed_;
  Stage stages_[2];
};

}  // namespace
}  // namespace plumbline::interaction
