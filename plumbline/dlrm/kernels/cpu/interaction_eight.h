// Eight float32 lanes of AVX2, for files compiled for AVX2 or wider.
#pragma once

#include <immintrin.h>

#include "interaction_vectors.h"

namespace plumbline::interaction {
namespace {

inline __m128i load_halves(const void *from) {
  return _mm_loadu_si128(static_cast<const __m128i *>(from));
}

inline __m256 bfloat16_to_float(__m128i halves) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
}

inline __m128i float_to_bfloat16(__m256 values) {
  const __m256i bits = _mm256_castps_si256(values);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i nearest =
      _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
  const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
  const __m256i unordered = _mm256_castps_si256(_mm256_cmp_ps(values, values, _CMP_UNORD_Q));
  const __m256i halves =
      _mm256_srli_epi32(_mm256_blendv_epi8(nearest, quiet, unordered), 16);
  return _mm_packus_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
}

inline __m256 to_float(const float *from) { return _mm256_loadu_ps(from); }
inline __m256 to_float(const Bfloat16 *from) { return bfloat16_to_float(load_halves(from)); }
inline __m256 to_float(const Float16 *from) { return _mm256_cvtph_ps(load_halves(from)); }

inline __m128i float_to_float16(__m256 values) {
  return _mm256_cvtps_ph(values, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

inline void round_to(__m256 values, float *to) { _mm256_storeu_ps(to, values); }
inline void round_to(__m256 values, Bfloat16 *to) {
  _mm_storeu_si128(reinterpret_cast<__m128i *>(to), float_to_bfloat16(values));
}
inline void round_to(__m256 values, Float16 *to) {
  _mm_storeu_si128(reinterpret_cast<__m128i *>(to), float_to_float16(values));
}

inline void transpose_eight(__m256 (&block)[8]) {
  __m256 twos[8], fours[8];
  for (int i = 0; i < 8; i += 2) {
    twos[i] = _mm256_unpacklo_ps(block[i], block[i + 1]);
    twos[i + 1] = _mm256_unpackhi_ps(block[i], block[i + 1]);
  }
  for (int i = 0; i < 8; i += 4)
    for (int j = 0; j < 2; ++j) {
      fours[i + 2 * j] = _mm256_shuffle_ps(twos[i + j], twos[i + j + 2], 0x44);
      fours[i + 2 * j + 1] = _mm256_shuffle_ps(twos[i + j], twos[i + j + 2], 0xee);
    }
  for (int i = 0; i < 4; ++i) {
    block[i] = _mm256_permute2f128_ps(fours[i], fours[i + 4], 0x20);
    block[i + 4] = _mm256_permute2f128_ps(fours[i], fours[i + 4], 0x31);
  }
}

// A policy without its partial loads and stores.
template <class E>
struct Eight {
  using Element = E;
  using Lane = float;
  using Lanes = __m256;
  using Sum = __m256;
  static constexpr int width = 8;
  static constexpr int pair = 1;
  static constexpr bool streams = false;

  static __m256 zero() { return _mm256_setzero_ps(); }
  static __m256 none() { return _mm256_setzero_ps(); }
  static __m256 multiply_add(__m256 sum, __m256 a, __m256 b) { return _mm256_fmadd_ps(a, b, sum); }
  static __m256 load(const float *from) { return _mm256_loadu_ps(from); }
  static __m256 broadcast(const float *from) { return _mm256_broadcast_ss(from); }
  static void keep(float *to, __m256 lanes) { _mm256_storeu_ps(to, lanes); }
  static __m256 take(const E *from) { return to_float(from); }
  static __m256 widen(const E *from) { return to_float(from); }
  static void put(E *to, __m256 sum) { round_to(sum, to); }
  static __m256 merge(__m256 a, __m256 b) { return _mm256_or_ps(a, b); }
  static void transpose(__m256 (&block)[8]) { transpose_eight(block); }
};

}  // namespace
}  // namespace plumbline::interaction
