// Bfloat16 only: a lane is a pair of elements, and one instruction multiplies and adds both.
#pragma once

#include "interaction_backward.h"
#include "interaction_forward.h"

#if defined(__AVX512BF16__)

#include "interaction_avx512.h"

namespace plumbline::interaction {
namespace {

// The first `count` bfloat16 elements of a vector; `count` is at most its width.
inline __mmask32 first32(int64_t count) { return static_cast<__mmask32>((1ull << count) - 1); }

struct EightPairs {
  using Element = Bfloat16;
  using Lane = uint32_t;
  using Lanes = __m256i;
  using Sum = __m256;
  static constexpr int width = 8;
  static constexpr int rows = 8, tile = 24;
  static constexpr int pair = 2;

  static __m256 zero() { return _mm256_setzero_ps(); }
  static __m256i none() { return _mm256_setzero_si256(); }
  static __m256 multiply_add(__m256 sum, __m256i a, __m256i b) {
    return _mm256_dpbf16_ps(sum, (__m256bh)a, (__m256bh)b);
  }
  static __m256i load(const uint32_t *from) { return _mm256_loadu_si256((const __m256i *)from); }
  static __m256i broadcast(const uint32_t *from) { return _mm256_set1_epi32((int)*from); }
  static void keep(uint32_t *to, __m256i lanes) { _mm256_storeu_si256((__m256i *)to, lanes); }
  static __m256i take(const Bfloat16 *from) { return _mm256_loadu_si256((const __m256i *)from); }
  static __m256i take_part(const Bfloat16 *from, int64_t count) {
    return _mm256_maskz_loadu_epi16(first16(count), from);
  }
  static void put(Bfloat16 *to, __m256 sum) {
    _mm_storeu_si128((__m128i *)to, (__m128i)_mm256_cvtneps_pbh(sum));
  }
  static void put_part(Bfloat16 *to, __m256 sum, int64_t count) {
    _mm_mask_storeu_epi16(to, static_cast<__mmask8>(first16(count)),
                          (__m128i)_mm256_cvtneps_pbh(sum));
  }
  static void transpose(__m256i (&block)[8]) {
    __m256 lanes[8];
    for (int i = 0; i < 8; ++i) lanes[i] = _mm256_castsi256_ps(block[i]);
    transpose_eight(lanes);
    for (int i = 0; i < 8; ++i) block[i] = _mm256_castps_si256(lanes[i]);
  }
};

// Single elements, for the square blocks of the gradient.
struct EightHalves {
  using Element = Bfloat16;
  using Lane = Bfloat16;
  using Lanes = __m128i;
  static constexpr int width = 8;

  static __m128i none() { return _mm_setzero_si128(); }
  static __m128i merge(__m128i a, __m128i b) { return _mm_or_si128(a, b); }
  static __m128i take(const Bfloat16 *from) { return load_halves(from); }
  static __m128i take_part(const Bfloat16 *from, int64_t count) {
    return _mm_maskz_loadu_epi16(static_cast<__mmask8>(first16(count)), from);
  }
  static void keep(Bfloat16 *to, __m128i lanes) { _mm_storeu_si128((__m128i *)to, lanes); }
  static void transpose(__m128i (&block)[8]) {
    __m128i twos[8], fours[8];
    for (int i = 0; i < 8; i += 2) {
      twos[i] = _mm_unpacklo_epi16(block[i], block[i + 1]);
      twos[i + 1] = _mm_unpackhi_epi16(block[i], block[i + 1]);
    }
    for (int i = 0; i < 8; i += 4)
      for (int j = 0; j < 2; ++j) {
        fours[i + 2 * j] = _mm_unpacklo_epi32(twos[i + j], twos[i + j + 2]);
        fours[i + 2 * j + 1] = _mm_unpackhi_epi32(twos[i + j], twos[i + j + 2]);
      }
    for (int i = 0; i < 4; ++i) {
      block[2 * i] = _mm_unpacklo_epi64(fours[i], fours[i + 4]);
      block[2 * i + 1] = _mm_unpackhi_epi64(fours[i], fours[i + 4]);
    }
  }
};

struct SixteenPairs {
  using Element = Bfloat16;
  using Lane = uint32_t;
  using Square = EightHalves;
  using Lanes = __m512i;
  using Sum = __m512;
  static constexpr int width = 16;
  static constexpr int pair = 2;
  static constexpr bool streams = true;

  static __m512 zero() { return _mm512_setzero_ps(); }
  static __m512 multiply_add(__m512 sum, __m512i a, __m512i b) {
    return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
  }
  static __m512i load(const uint32_t *from) { return _mm512_loadu_si512(from); }
  static __m512i broadcast(const uint32_t *from) { return _mm512_set1_epi32((int)*from); }
  static void keep(uint32_t *to, __m512i lanes) { _mm512_storeu_si512(to, lanes); }
  static __m512i take(const Bfloat16 *from) { return _mm512_loadu_si512(from); }
  static __m512i take_part(const Bfloat16 *from, int64_t count) {
    return _mm512_maskz_loadu_epi16(first32(count), from);
  }
  static __m512 widen(const Bfloat16 *from) { return widen_part(from, width); }
  static __m512 widen_part(const Bfloat16 *from, int64_t count) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves(from, count)), 16));
  }
  static void put(Bfloat16 *to, __m512 sum) {
    _mm256_storeu_si256((__m256i *)to, (__m256i)_mm512_cvtneps_pbh(sum));
  }
  static void stream(Bfloat16 *to, __m512 sum) {
    _mm256_stream_si256((__m256i *)to, (__m256i)_mm512_cvtneps_pbh(sum));
  }
  static void fence() { _mm_sfence(); }
  static void put_part(Bfloat16 *to, __m512 sum, int64_t count) {
    _mm256_mask_storeu_epi16(to, first16(count), (__m256i)_mm512_cvtneps_pbh(sum));
  }
  static __m512i across(const Bfloat16 *a, const Bfloat16 *b, int64_t count) {
    const __m512i lanes = _mm512_cvtepu16_epi32(_mm256_setr_epi16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
                                                                  11, 12, 13, 14, 15));
    const __m512i indices =
        _mm512_or_si512(lanes, _mm512_slli_epi32(_mm512_add_epi32(lanes, _mm512_set1_epi32(32)), 16));
    const __m256i low = halves(a, count);
    const __m256i high = b == nullptr ? _mm256_setzero_si256() : halves(b, count);
    return _mm512_permutex2var_epi16(_mm512_castsi256_si512(low), indices,
                                     _mm512_castsi256_si512(high));
  }

 private:
  static __m256i halves(const Bfloat16 *from, int64_t count) {
    return _mm256_maskz_loadu_epi16(first16(count), from);
  }
};

template <>
struct Loops<InstructionSet::avx512bf16> {
  static Kernels of(Dtype dtype) {
    if (dtype != Dtype::bfloat16) return {};
    using F = Forward<EightPairs>;
    using B = Backward<SixteenPairs, 6, 4>;
    return {F::rows, F::scratch, B::rows, B::scratch};
  }
};

}  // namespace
}  // namespace plumbline::interaction

#endif
