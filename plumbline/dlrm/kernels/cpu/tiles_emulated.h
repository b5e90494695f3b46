// The tiles of AMX in plain C++, with the semantics of Intel's manual (volume 2, palette 1). What
// an instruction refuses is thrown as std::runtime_error. Only for loops, see instruction_set.h.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <stdexcept>

#include "lanes.h"

namespace plumbline {
namespace {

class EmulatedTiles {
 public:
  // Reads 64 bytes: palette, start row, 14 reserved, 16 row lengths of two bytes, 16 counts.
  void configure(const void *shapes) {
    uint8_t read_shapes[64];
    std::memcpy(read_shapes, shapes, sizeof read_shapes);
    if (configured_threads() > 0) refuse("the thread has configured tiles already");
    if (read_shapes[0] != 1) refuse("palette %d, not 1", read_shapes[0]);
    for (int at = 2; at < 16; ++at)
      if (read_shapes[at] != 0) refuse("reserved byte %d is not 0", at);
    for (int tile = 0; tile < 16; ++tile) {
      uint16_t bytes;
      std::memcpy(&bytes, read_shapes + 16 + 2 * tile, sizeof bytes);
      const int rows = read_shapes[48 + tile];
      if (tile >= kTiles && (rows != 0 || bytes != 0)) refuse("there is no tile %d", tile);
      if (rows > kRows || bytes > kBytes || (rows == 0) != (bytes == 0))
        refuse("tile %d of %d rows of %d bytes", tile, rows, bytes);
      if (tile < kTiles) tiles_[tile] = {rows, bytes, {}};
    }
    ++configured_threads();
  }

  void release() { --configured_threads(); }

  void zero(int tile) { std::memset(used(tile).row, 0, sizeof(Tile::row)); }

  void load(int tile, const void *from, int64_t stride) {
    Tile &to = used(tile);
    zero(tile);
    for (int r = 0; r < to.rows; ++r)
      std::memcpy(to.row[r], static_cast<const char *>(from) + r * stride, to.bytes);
  }

  void store(int tile, void *to, int64_t stride) {
    const Tile &from = used(tile);
    for (int r = 0; r < from.rows; ++r)
      std::memcpy(static_cast<char *>(to) + r * stride, from.row[r], from.bytes);
  }

  void dot_bf16(int c, int a, int b) {
    check_product(c, a, b);
    for (int m = 0; m < tiles_[c].rows; ++m) {
      Floats first{}, second{};
      for (int k = 0; k < tiles_[a].bytes / 4; ++k) {
        uint32_t pair;
        std::memcpy(&pair, tiles_[a].row[m] + 4 * k, sizeof pair);
        const Words ones = Words{} + pair, others = read<Words>(tiles_[b].row[k]);
        first = flushed(first + upper(ones << 16) * upper(others << 16));
        second = flushed(second + upper(ones) * upper(others));
      }
      const Floats before = flushed(read<Floats>(tiles_[c].row[m]));
      keep_row(tiles_[c], m, flushed(before + flushed(first + second)));
    }
  }

  template <typename Left>
  void dot_int8(int c, int a, int b) {
    check_product(c, a, b);
    for (int m = 0; m < tiles_[c].rows; ++m) {
      Words sum = read<Words>(tiles_[c].row[m]);
      for (int k = 0; k < tiles_[a].bytes / 4; ++k)
        for (int i = 0; i < 4; ++i) {
          const auto one = static_cast<Left>(tiles_[a].row[m][4 * k + i]);
          for (int n = 0; n < tiles_[c].bytes / 4; ++n) {
            const auto other = static_cast<int8_t>(tiles_[b].row[k][4 * n + i]);
            sum[n] += static_cast<uint32_t>(int{one} * int{other});
          }
        }
      keep_row(tiles_[c], m, sum);
    }
  }

 private:
  static constexpr int kTiles = 8, kRows = 16, kBytes = 64;

  struct Tile {
    int rows = 0, bytes = 0;
    alignas(64) uint8_t row[kRows][kBytes] = {};
  };

  static int &configured_threads() {
    thread_local int configured = 0;
    return configured;
  }

  template <typename... Numbers>
  [[noreturn]] static void refuse(const char *format, Numbers... numbers) {
    char text[128] = "tiles: ";
    std::snprintf(text + 7, sizeof text - 7, format, numbers..., 0);
    throw std::runtime_error(text);
  }

  Tile &used(int tile) {
    if (tile < 0 || tile >= kTiles) refuse("there is no tile %d", tile);
    if (tiles_[tile].rows == 0) refuse("tile %d has no shape", tile);
    return tiles_[tile];
  }

  void check_product(int c, int a, int b) {
    const Tile &out = used(c), &left = used(a), &right = used(b);
    if (c == a || c == b || a == b) refuse("a product of tiles %d, %d and %d", c, a, b);
    if (left.bytes % 4 != 0 || right.bytes % 4 != 0 || left.rows != out.rows ||
        left.bytes / 4 != right.rows || right.bytes != out.bytes)
      refuse("a product of %d × %d and %d × %d entries into %d × %d", left.rows, left.bytes / 4,
             right.rows, right.bytes / 4, out.rows, out.bytes / 4);
  }

  // The upper halves of the lanes as float32, subnormal numbers as zeros.
  static Floats upper(Words lanes) { return flushed(with_bits(lanes & 0xFFFF0000u)); }

  static Floats flushed(Floats values) {
    const Words bits = bits_of(values);
    return with_bits((bits & 0x7F800000u) == 0u ? bits & 0x80000000u : bits);
  }

  // Bytes past the row's length become zero.
  template <typename Values>
  static void keep_row(Tile &tile, int row, Values values) {
    std::memset(tile.row[row], 0, kBytes);
    std::memcpy(tile.row[row], &values, tile.bytes);
  }

  Tile tiles_[kTiles];
};

}  // namespace
}  // namespace plumbline
