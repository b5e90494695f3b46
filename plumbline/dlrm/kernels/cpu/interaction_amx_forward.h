// The forward pass on tiles, for bfloat16.
//
// The dots of a row's N vectors V are the strict lower triangle of V · Vᵀ. Its rows 1 to N − 1 are
// computed in blocks of 16. The second of two blocks is as short as it can be; the last of several
// ends at row N − 1, and so overlaps with the one before, since tiles have one shape throughout.
// These vectors are the left tiles, read where they are. The right tiles are panels of 16 vectors,
// from vector 0 on, transposed: line k of a panel is pair k of each. The blocks on the diagonal need
// as many panels as their number, so no tile is computed that lies above it.
//
// While a row is multiplied, the next one is transposed, a piece after each step, so that tiles and
// vectors work at the same time. Then the one before is rounded and written: no load waits for a
// store that has just been made.
#pragma once

#include "interaction_amx_lines.h"
#include "tiles.h"

namespace plumbline::interaction {
namespace {

class AmxForward {
 public:
  static int64_t scratch(const Shape &shape) { return 2 * Sizes(shape).stage(); }

  static void rows(const Shape &shape, const void *dense, const void *embeddings, void *out,
                   int64_t begin, int64_t end, void *scratch) {
    if (begin < end) AmxForward(shape, dense, embeddings, out, scratch).run(begin, end);
  }

 private:
  struct Sizes {
    explicit Sizes(const Shape &shape)
        : count(shape.vectors()),
          blocks(parts_of(count - 1, kTileRows)),
          block_rows(smaller(count - 1, kTileRows)),
          lower_rows(blocks == 2 ? count - 1 - kTileRows : block_rows),
          steps(parts_of(shape.dim, kLine)),
          pairs(round_up(parts_of(shape.dim, steps), 8) / 2),
          length(steps * pairs * 2),
          copied(length != shape.dim) {
      if (count < 2) return;
      const int64_t pairs_of_blocks = parts_of(blocks, 2);
      pieces_each = parts_of(blocks, pairs_of_blocks * (pairs_of_blocks + 1) / 2);
      lines_each = parts_of(shape.features * shape.dim, kLine * blocks * steps);
    }

    int64_t panel() const { return length / 2 * kTileRows; }
    int64_t dots_stride() const { return blocks * kTileRows; }
    // Bytes: the panels, the dots, and copies of the vectors.
    int64_t panels_bytes() const { return blocks * panel() * 4; }
    int64_t dots_bytes() const { return (count - 1) * dots_stride() * 4; }
    int64_t stage() const {
      return panels_bytes() + dots_bytes() + (copied ? round_up(count * length * 2, 64) : 0);
    }

    int64_t count;       // vectors
    int64_t blocks;      // of rows; also panels
    int64_t block_rows;  // rows of every block
    int64_t lower_rows;  // but of these of every other one, from the second on
    int64_t steps;       // products over the length of a vector
    int64_t pairs;       // of a vector in one product: a multiple of 4, at most 16
    int64_t length;      // of a vector with zeros at its end
    bool copied;         // whether vectors need these zeros
    int64_t pieces_each = 0;  // that are transposed for each step of each product
    int64_t lines_each = 0;   // of memory that are fetched for each piece
  };

  // What is kept of one row.
  struct Stage {
    uint32_t *panels;
    float *dots;
    Bfloat16 *vectors;
  };

  // A row that is being transposed.
  struct Packing {
    Vectors<const Bfloat16> row;
    Words *to;
    LinesAhead ahead;
    int64_t panel, d;
    const Bfloat16 *from[kTileRows];
  };

  AmxForward(const Shape &shape, const void *dense, const void *embeddings, void *out,
             void *scratch)
      : shape_(shape),
        sizes_(shape),
        dense_(dense),
        embeddings_(embeddings),
        out_(static_cast<Bfloat16 *>(out)) {
    char *at = static_cast<char *>(scratch);
    for (Stage &stage : stages_) {
      char *dots = at + sizes_.panels_bytes();
      char *vectors = dots + sizes_.dots_bytes();
      stage = {reinterpret_cast<uint32_t *>(at), reinterpret_cast<float *>(dots),
               reinterpret_cast<Bfloat16 *>(vectors)};
      at += sizes_.stage();
    }
  }

  void run(int64_t begin, int64_t end) {
    if (sizes_.count < 2) {
      for (int64_t b = begin; b < end; ++b) write(b, stages_[0]);
      return;
    }
    if (sizes_.copied)
      for (const Stage &stage : stages_)
        std::memset(stage.vectors, 0, static_cast<size_t>(sizes_.count * sizes_.length) * 2);
    Tiles tiles(shapes());
    Packing packing = start_packing(begin, stages_[begin % 2]);
    pack(packing, sizes_.blocks * sizes_.steps);
    for (int64_t b = begin; b < end; ++b) {
      if (b + 1 < end) packing = start_packing(b + 1, stages_[(b + 1) % 2]);
      multiply(tiles, b, stages_[b % 2], packing);
      if (b > begin) write(b - 1, stages_[(b - 1) % 2]);
    }
    write(end - 1, stages_[(end - 1) % 2]);
  }

  // Tiles 0 to 3 are the dots of two blocks with two panels, 4 and 5 the blocks, 6 and 7 the panels.
  TileShapes shapes() const {
    TileShapes shapes;
    for (int tile = 0; tile < 2; ++tile) shapes.set(tile, sizes_.block_rows, kTileBytes);
    for (int tile = 2; tile < 4; ++tile) shapes.set(tile, sizes_.lower_rows, kTileBytes);
    shapes.set(4, sizes_.block_rows, sizes_.pairs * 4);
    shapes.set(5, sizes_.lower_rows, sizes_.pairs * 4);
    for (int tile = 6; tile < 8; ++tile) shapes.set(tile, sizes_.pairs, kTileBytes);
    return shapes;
  }

  // The row's vectors, at a distance of `length` from vector 1 on.
  Vectors<const Bfloat16> vectors(int64_t b, const Stage &stage) const {
    if (sizes_.copied) return {nullptr, stage.vectors, sizes_.length};
    return vectors_of<const Bfloat16>(shape_, dense_, embeddings_, b);
  }

  Packing start_packing(int64_t b, const Stage &stage) const {
    const auto row = vectors_of<const Bfloat16>(shape_, dense_, embeddings_, b);
    if (sizes_.copied)
      for (int64_t i = 0; i < sizes_.count; ++i)
        std::memcpy(stage.vectors + i * sizes_.length, row[i], static_cast<size_t>(shape_.dim) * 2);
    const LinesAhead ahead{row.embeddings + shape_.features * shape_.dim};
    return {vectors(b, stage), reinterpret_cast<Words *>(stage.panels), ahead, -1, sizes_.length, {}};
  }

  // Transposes the next pieces, if any is left: 32 elements of sixteen vectors each, or as many as
  // there are.
  [[gnu::noinline]] void pack(Packing &packing, int64_t pieces) const {
    for (; pieces > 0; --pieces) {
      if (packing.d == sizes_.length) {
        if (packing.panel + 1 == sizes_.blocks) return;
        start_panel(packing);
      }
      packing.ahead.fetch(sizes_.lines_each);
      const int64_t columns = sizes_.count - 1 - packing.panel * kTileRows;
      if (columns > 12)
        pack_piece<4>(packing);
      else if (columns > 8)
        pack_piece<3>(packing);
      else if (columns > 4)
        pack_piece<2>(packing);
      else
        pack_piece<1>(packing);
    }
  }

  // Columns past the first 4 G of the panel are not read.
  template <int G>
  [[gnu::always_inline]] void pack_piece(Packing &packing) const {
    if (packing.d + kLine <= sizes_.length) {
      transpose<4, G>(packing.from, packing.d, packing.to);
      packing.d += kLine, packing.to += kLine / 2;
    } else {
      for (; packing.d < sizes_.length; packing.d += 8, packing.to += 4)
        transpose<1, G>(packing.from, packing.d, packing.to);
    }
  }

  // Vectors past the last are copies of it.
  void start_panel(Packing &packing) const {
    const int64_t first = ++packing.panel * kTileRows;
    packing.d = 0;
    for (int64_t i = 0; i < kTileRows; ++i)
      packing.from[i] = packing.row[smaller(first + i, sizes_.count - 1)];
  }

  int64_t first_row(int64_t block) const {
    const int64_t rows = block % 2 == 0 ? sizes_.block_rows : sizes_.lower_rows;
    return block + 1 < sizes_.blocks ? 1 + block * kTileRows : sizes_.count - rows;
  }

  void multiply(Tiles &tiles, int64_t b, const Stage &stage, Packing &packing) const {
    const auto row = vectors(b, stage);
    for (int64_t block = 0; block < sizes_.blocks; block += 2) {
      const bool two = block + 1 < sizes_.blocks;
      for (int64_t panel = 0; panel < block; panel += 2) {
        if (two)
          product<true, false>(tiles, row, block, panel, stage, packing);
        else
          product<false, false>(tiles, row, block, panel, stage, packing);
      }
      if (two)
        product<true, true>(tiles, row, block, block, stage, packing);
      else
        product<false, true>(tiles, row, block, block, stage, packing);
    }
  }

  // One or two blocks by two panels, on the diagonal without the tile above it.
  template <bool kTwoBlocks, bool kDiagonal>
  void product(Tiles &tiles, const Vectors<const Bfloat16> &row, int64_t block, int64_t panel,
               const Stage &stage, Packing &packing) const {
    const int64_t stride = row.dim * 2, dots_stride = sizes_.dots_stride() * 4;
    const int64_t upper = first_row(block), lower = kTwoBlocks ? first_row(block + 1) : 0;
    const int64_t elements = sizes_.pairs * 2, words = sizes_.pairs * kTileRows;
    const Bfloat16 *above = row[upper], *below = kTwoBlocks ? row[lower] : nullptr;
    const uint32_t *left = stage.panels + panel * sizes_.panel(), *right = left + sizes_.panel();
    tiles.zero<0>();
    if constexpr (!kDiagonal) tiles.zero<1>();
    if constexpr (kTwoBlocks) tiles.zero<2>(), tiles.zero<3>();
    for (int64_t step = sizes_.steps; step > 0; --step) {
      tiles.load<4>(above, stride);
      tiles.load<6>(left, kTileBytes);
      tiles.dot_bf16<0, 4, 6>();
      if constexpr (kTwoBlocks || !kDiagonal) tiles.load<7>(right, kTileBytes);
      if constexpr (!kDiagonal) tiles.dot_bf16<1, 4, 7>();
      if constexpr (kTwoBlocks) {
        tiles.load<5>(below, stride);
        tiles.dot_bf16<2, 5, 6>();
        tiles.dot_bf16<3, 5, 7>();
        below += elements;
      }
      pack(packing, sizes_.pieces_each);
      above += elements;
      left += words;
      right += words;
    }
    float *to = stage.dots + (upper - 1) * sizes_.dots_stride() + panel * kTileRows;
    tiles.store<0>(to, dots_stride);
    if constexpr (!kDiagonal) tiles.store<1>(to + kTileRows, dots_stride);
    if constexpr (kTwoBlocks) {
      to = stage.dots + (lower - 1) * sizes_.dots_stride() + panel * kTileRows;
      tiles.store<2>(to, dots_stride);
      tiles.store<3>(to + kTileRows, dots_stride);
    }
  }

  // Thirty-two dots at a time; those past a line's end are overwritten by the next line.
  void write(int64_t b, const Stage &stage) const {
    const int64_t width = shape_.width();
    Bfloat16 *const out = out_ + b * width, *const end = out + width;
    Bfloat16 *to = out;
    if (shape_.has_dense) {
      const auto *dense = static_cast<const Bfloat16 *>(dense_) + b * shape_.dim;
      std::memcpy(to, dense, static_cast<size_t>(shape_.dim) * 2);
      to += shape_.dim;
    }
    const float *dots = stage.dots;
    for (int64_t i = 1; i < sizes_.count; ++i, dots += sizes_.dots_stride()) {
      for (int64_t j = 0; j < i; j += kLine) {
        const Floats first = read<Floats>(dots + j);
        const Floats second = j + kLanes < i ? read<Floats>(dots + j + kLanes) : first;
        write_line(to + j, rounded(first, second), end - (to + j));
      }
      to += i;
    }
    std::memset(to, 0, static_cast<size_t>(end - to) * 2);
    for (int64_t d = 0; d < width; d += kLine) __builtin_prefetch(end + d, 1);
  }

  const Shape shape_;
  const Sizes sizes_;
  const void *dense_, *embeddings_;
  Bfloat16 *out_;
  Stage stages_[2];
};

}  // namespace
}  // namespace plumbline::interaction
