// The matrix tiles of AMX: eight registers of up to 16 rows of 64 bytes. Only for loops, see
// instruction_set.h.
//
// `Tiles` configures the registers and releases them at its end; a thread has one at a time. Tiles
// are numbered by template arguments. With A (m × k) and B (k × n), where an entry of A or B is
// four bytes, `dot_*<C, A, B>` adds to C (m × n, entries of four bytes):
//
//   dot_bf16   an entry is a pair of bfloat16; C is float32. The products of the first numbers of
//              all pairs are summed in the order of k, those of the second likewise; then both sums
//              are added to each other, and the result to C. Subnormal inputs, sums and results
//              count as zero.
//   dot_s8s8   an entry is four int8; C is int32 and wraps around
//   dot_u8s8   the same, with uint8 in A
//
// Files compiled with AMX have the instructions. Other files have tiles_emulated.h, which runs on
// any processor and throws where an instruction would fault.
#pragma once

#include <cstdint>

#include "instruction_set.h"

#if !defined(__AMX_TILE__)
#include "tiles_emulated.h"
#endif

namespace plumbline {
namespace {

#if defined(PLUMBLINE_INSTRUCTION_SET)
// Whether the kernels of this file's instruction set use tiles.
constexpr bool kHasTiles = kInstructionSet == InstructionSet::amx ||
                           kInstructionSet == InstructionSet::emulatedamx;
#endif

constexpr int64_t kTileRows = 16;
constexpr int64_t kTileBytes = 64;  // of a row

// The shapes of the tiles, as the processor reads them. Tiles without a shape cannot be used.
struct alignas(64) TileShapes {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t bytes[16] = {};
  uint8_t rows[16] = {};

  constexpr void set(int tile, int64_t tile_rows, int64_t row_bytes) {
    rows[tile] = static_cast<uint8_t>(tile_rows);
    bytes[tile] = static_cast<uint16_t>(row_bytes);
  }
};
static_assert(sizeof(TileShapes) == 64);

#if defined(__AMX_TILE__)

class Tiles {
 public:
  [[gnu::always_inline]] explicit Tiles(const TileShapes &shapes) {
    __asm__ volatile("ldtilecfg %0" ::"m"(shapes));
  }
  [[gnu::always_inline]] ~Tiles() { __asm__ volatile("tilerelease"); }
  Tiles(const Tiles &) = delete;
  Tiles &operator=(const Tiles &) = delete;

  template <int T>
  [[gnu::always_inline]] void zero() {
    __asm__ volatile("tilezero %%tmm%c0" ::"i"(T));
  }
  // Row r of the tile is at `from` + r · `stride` bytes; the same for `store`.
  template <int T>
  [[gnu::always_inline]] void load(const void *from, int64_t stride) {
    __asm__ volatile("tileloadd (%1,%2,1), %%tmm%c0" ::"i"(T), "r"(from), "r"(stride) : "memory");
  }
  template <int T>
  [[gnu::always_inline]] void store(void *to, int64_t stride) {
    __asm__ volatile("tilestored %%tmm%c0, (%1,%2,1)" ::"i"(T), "r"(to), "r"(stride) : "memory");
  }
  template <int C, int A, int B>
  [[gnu::always_inline]] void dot_bf16() {
    __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(C), "i"(A), "i"(B));
  }
  template <int C, int A, int B>
  [[gnu::always_inline]] void dot_s8s8() {
    __asm__ volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(C), "i"(A), "i"(B));
  }
  template <int C, int A, int B>
  [[gnu::always_inline]] void dot_u8s8() {
    __asm__ volatile("tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(C), "i"(A), "i"(B));
  }
};

#else

class Tiles {
 public:
  explicit Tiles(const TileShapes &shapes) { state_.configure(&shapes); }
  ~Tiles() { state_.release(); }
  Tiles(const Tiles &) = delete;
  Tiles &operator=(const Tiles &) = delete;

  template <int T>
  void zero() {
    state_.zero(T);
  }
  template <int T>
  void load(const void *from, int64_t stride) {
    state_.load(T, from, stride);
  }
  template <int T>
  void store(void *to, int64_t stride) {
    state_.store(T, to, stride);
  }
  template <int C, int A, int B>
  void dot_bf16() {
    state_.dot_bf16(C, A, B);
  }
  template <int C, int A, int B>
  void dot_s8s8() {
    state_.dot_int8<int8_t>(C, A, B);
  }
  template <int C, int A, int B>
  void dot_u8s8() {
    state_.dot_int8<uint8_t>(C, A, B);
  }

 private:
  EmulatedTiles state_;
};

#endif

}  // namespace
}  // namespace plumbline
