// Lines of 32 bfloat16 numbers, 64 bytes, for the kernels with tiles. Only for loops, see
// instruction_set.h.
#pragma once

#include "interaction_vectors.h"
#include "lanes.h"

namespace plumbline::interaction {
namespace {

constexpr int64_t kLine = 32;

using Line = uint16_t __attribute__((vector_size(64)));
using Quads = uint64_t __attribute__((vector_size(64)));
using Eighths = uint16_t __attribute__((vector_size(16)));
using Quarter = uint32_t __attribute__((vector_size(16)));

// The first `count` <= 32 numbers, zeros after them.
inline Line read_line(const Bfloat16 *from, int64_t count) {
#if defined(__AVX512BW__)
  const auto mask = static_cast<__mmask32>((uint64_t{1} << count) - 1);
  return reinterpret_cast<Line>(_mm512_maskz_loadu_epi16(mask, from));
#else
  Line line{};
  std::memcpy(&line, from, static_cast<size_t>(count) * sizeof(Bfloat16));
  return line;
#endif
}

// Writes the first `count` numbers, at most all 32.
inline void write_line(Bfloat16 *to, Line line, int64_t count) {
  if (__builtin_expect(count >= kLine, 1)) {
    std::memcpy(to, &line, sizeof line);
    return;
  }
#if defined(__AVX512BW__)
  const auto mask = static_cast<__mmask32>((uint64_t{1} << count) - 1);
  _mm512_mask_storeu_epi16(to, mask, reinterpret_cast<__m512i>(line));
#else
  std::memcpy(to, &line, static_cast<size_t>(count) * sizeof(Bfloat16));
#endif
}

// Writes a whole aligned line past the caches, if the processor can.
inline void stream_line(Bfloat16 *to, Line line) {
#if defined(__AVX512F__)
  _mm512_stream_si512(reinterpret_cast<__m512i *>(to), reinterpret_cast<__m512i>(line));
#else
  write_line(to, line, kLine);
#endif
}

// Orders the streamed lines before what the thread writes later.
inline void end_of_stream() {
#if defined(__AVX512F__)
  _mm_sfence();
#endif
}

// Fetches lines of memory into the L2 cache, one after the other: then the processor fetches ahead by
// itself, and the L1 cache's few buffers do not limit how many lines are on their way.
class LinesAhead {
 public:
  explicit LinesAhead(const Bfloat16 *from) : at_(from) {}

  void fetch(int64_t lines) {
    for (; lines > 0; --lines, at_ += kLine) __builtin_prefetch(at_, 0, 2);
  }

 private:
  const Bfloat16 *at_;
};

// Sixteen sums and sixteen more, rounded to nearest, ties to even.
inline Line rounded(Floats first, Floats second) {
#if defined(__AVX512BF16__)
  return reinterpret_cast<Line>(_mm512_cvtne2ps_pbh(reinterpret_cast<__m512>(second),
                                                    reinterpret_cast<__m512>(first)));
#else
  const Halves halves[2] = {nearest_bfloat16(first), nearest_bfloat16(second)};
  return read<Line>(halves);
#endif
}

// The pairs (a[0], b[0]) … (a[15], b[15]) and (a[16], b[16]) … (a[31], b[31]).
inline void interleave(Line a, Line b, Line (&pairs)[2]) {
  // Instructions interleave halves of 128-bit lanes, so the halves have to be there.
  constexpr Quads spread = {0, 4, 1, 5, 2, 6, 3, 7};
  a = reinterpret_cast<Line>(__builtin_shuffle(reinterpret_cast<Quads>(a), spread));
  b = reinterpret_cast<Line>(__builtin_shuffle(reinterpret_cast<Quads>(b), spread));
  constexpr Line low = {0,  32, 1,  33, 2,  34, 3,  35, 8,  40, 9,  41, 10, 42, 11, 43,
                        16, 48, 17, 49, 18, 50, 19, 51, 24, 56, 25, 57, 26, 58, 27, 59};
  pairs[0] = __builtin_shuffle(a, b, low);
  pairs[1] = __builtin_shuffle(a, b, low + 4);
}

// Four pairs of each of the first G of four vectors, side by side; zeros after them.
template <int G>
inline Words joined(const Bfloat16 *const (&from)[16], int first, int64_t d) {
#if defined(__AVX512F__)
  // Masked loads leave the unit for shuffles to the interleaving.
  const auto quarter = [&](int g) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i *>(from[first + 4 * g] + d));
  };
  __m512i four = _mm512_zextsi128_si512(quarter(0));
  if constexpr (G > 1) four = _mm512_mask_broadcast_i32x4(four, 0x00F0, quarter(1));
  if constexpr (G > 2) four = _mm512_mask_broadcast_i32x4(four, 0x0F00, quarter(2));
  if constexpr (G > 3) four = _mm512_mask_broadcast_i32x4(four, 0xF000, quarter(3));
  return reinterpret_cast<Words>(four);
#else
  Quarter quarters[4] = {};
  for (int g = 0; g < G; ++g) quarters[g] = read<Quarter>(from[first + 4 * g] + d);
  return read<Words>(quarters);
#endif
}

// Elements [d, d + 8 Q) of the first 4 G of sixteen vectors become 4 Q lines of pairs: from[i] becomes
// column i.
template <int Q, int G>
inline void transpose(const Bfloat16 *const (&from)[16], int64_t d, Words *lines) {
  Words four[Q][4];  // lane 4 g + k of four[q][m] is pair 4 q + k of vector 4 g + m
#pragma GCC unroll 4
  for (int m = 0; m < 4; ++m)
#pragma GCC unroll 4
    for (int q = 0; q < Q; ++q) four[q][m] = joined<G>(from, m, d + 8 * q);
  constexpr Words low = {0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29};
  constexpr Quads low_quads = {0, 8, 2, 10, 4, 12, 6, 14};
#pragma GCC unroll 4
  for (int q = 0; q < Q; ++q)
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      const Words pick = low + 2 * static_cast<uint32_t>(half);
      const auto even = reinterpret_cast<Quads>(__builtin_shuffle(four[q][0], four[q][1], pick));
      const auto odd = reinterpret_cast<Quads>(__builtin_shuffle(four[q][2], four[q][3], pick));
      lines[4 * q + 2 * half] = reinterpret_cast<Words>(__builtin_shuffle(even, odd, low_quads));
      lines[4 * q + 2 * half + 1] =
          reinterpret_cast<Words>(__builtin_shuffle(even, odd, low_quads + 1));
    }
}

// Eight by eight numbers: the squares of `spread` in interaction_backward.h.
struct LineSquares {
  using Element = Bfloat16;
  using Lane = Bfloat16;
  using Lanes = Eighths;
  static constexpr int width = 8;

  static Eighths none() { return Eighths{}; }
  static Eighths merge(Eighths a, Eighths b) { return a | b; }
  static Eighths take(const Bfloat16 *from) { return read<Eighths>(from); }
  static Eighths take_part(const Bfloat16 *from, int64_t count) {
#if defined(__AVX512VL__)
    const auto mask = static_cast<__mmask8>((1u << count) - 1);
    return reinterpret_cast<Eighths>(_mm_maskz_loadu_epi16(mask, from));
#else
    Eighths part{};
    std::memcpy(&part, from, static_cast<size_t>(count) * sizeof(Bfloat16));
    return part;
#endif
  }
  static void keep(Bfloat16 *to, Eighths lanes) { std::memcpy(to, &lanes, sizeof lanes); }
  static void transpose(Eighths (&block)[8]) {
    constexpr Eighths low = {0, 8, 1, 9, 2, 10, 3, 11};
#pragma GCC unroll 3
    for (int pass = 0; pass < 3; ++pass) {
      Eighths next[8];
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        next[2 * i] = __builtin_shuffle(block[i], block[i + 4], low);
        next[2 * i + 1] = __builtin_shuffle(block[i], block[i + 4], low + 4);
      }
#pragma GCC unroll 8
      for (int i = 0; i < 8; ++i) block[i] = next[i];
    }
  }
};

}  // namespace
}  // namespace plumbline::interaction
