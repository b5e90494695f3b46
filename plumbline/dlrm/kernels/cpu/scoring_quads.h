// Products of int8 numbers with int32 sums, four a lane, sixteen lanes. Only for loops, see
// instruction_set.h. Numbers are from −127 to 127, so no intermediate result overflows.
#pragma once

#include <cstdint>
#include <cstring>

#include "lanes.h"

namespace plumbline {
namespace {

// Quads: 64 numbers. Sums: 16 int32.
//
//   magnitude(a)             |a|
//   with_signs(b, a)         b with the signs of a; its values do not matter where a is zero
//   add_products(sum, a, b)  each lane's sum + Σ a · b over its four numbers, where a >= 0
#if defined(__AVX512F__)

using Quads = __m512i;
using Sums = __m512i;

inline Sums no_sums() { return _mm512_setzero_si512(); }
inline Quads read_quads(const void *from) { return _mm512_loadu_si512(from); }
inline Quads repeated(uint32_t quad) { return _mm512_set1_epi32(static_cast<int>(quad)); }
inline Quads magnitude(Quads a) { return _mm512_abs_epi8(a); }

inline Quads with_signs(Quads b, Quads a) {
  return _mm512_mask_sub_epi8(b, _mm512_movepi8_mask(a), _mm512_setzero_si512(), b);
}

inline Sums add_products(Sums sum, Quads a, Quads b) {
#if defined(__AVX512VNNI__)
  return _mm512_dpbusd_epi32(sum, a, b);
#else
  const __m512i pairs = _mm512_maddubs_epi16(a, b);
  return _mm512_add_epi32(sum, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
#endif
}

inline Ints integers(Sums sum) { return reinterpret_cast<Ints>(sum); }
inline int32_t total(Sums sum) { return _mm512_reduce_add_epi32(sum); }

#elif defined(__AVX2__)

// GCC keeps these in registers, but not vectors of 64 bytes that intrinsics take apart.
struct Quads {
  __m256i low, high;
};
using Sums = Quads;

inline Sums no_sums() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }

inline Quads read_quads(const void *from) {
  const auto *halves = static_cast<const __m256i_u *>(from);
  return {_mm256_loadu_si256(halves), _mm256_loadu_si256(halves + 1)};
}

inline Quads repeated(uint32_t quad) {
  const __m256i half = _mm256_set1_epi32(static_cast<int>(quad));
  return {half, half};
}

inline Quads magnitude(Quads a) { return {_mm256_abs_epi8(a.low), _mm256_abs_epi8(a.high)}; }

inline Quads with_signs(Quads b, Quads a) {
  return {_mm256_sign_epi8(b.low, a.low), _mm256_sign_epi8(b.high, a.high)};
}

inline __m256i add_products(__m256i sum, __m256i a, __m256i b) {
  const __m256i pairs = _mm256_maddubs_epi16(a, b);
  return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

inline Sums add_products(Sums sum, Quads a, Quads b) {
  return {add_products(sum.low, a.low, b.low), add_products(sum.high, a.high, b.high)};
}

inline Ints integers(Sums sum) {
  Ints integers;
  std::memcpy(&integers, &sum, sizeof sum);
  return integers;
}

inline int32_t total(Sums sum) {
  const __m256i eight = _mm256_add_epi32(sum.low, sum.high);
  const __m128i four =
      _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
  const __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4E));
  return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xB1)));
}

#else

using Quads = Ints;
using Sums = Ints;

inline Sums no_sums() { return Ints{}; }
inline Quads read_quads(const void *from) { return read<Ints>(static_cast<const char *>(from)); }
inline Quads repeated(uint32_t quad) { return Ints{} + static_cast<int32_t>(quad); }
inline Quads magnitude(Quads a) { return a; }
inline Quads with_signs(Quads b, Quads) { return b; }

inline Sums add_products(Sums sum, Quads a, Quads b) {
  return sum + (a << 24 >> 24) * (b << 24 >> 24) + (a << 16 >> 24) * (b << 16 >> 24) +
         (a << 8 >> 24) * (b << 8 >> 24) + (a >> 24) * (b >> 24);
}

inline Ints integers(Sums sum) { return sum; }

inline int32_t total(Sums sum) {
  int32_t total = 0;
  for (int lane = 0; lane < kLanes; ++lane) total += sum[lane];
  return total;
}

#endif

}  // namespace
}  // namespace plumbline
