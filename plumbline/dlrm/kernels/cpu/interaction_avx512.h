// Forward in eight lanes, which waste less on the diagonal than sixteen; backward in sixteen.
#pragma once

#include "interaction_backward.h"
#include "interaction_forward.h"

#if defined(__AVX512F__)

#include "interaction_eight.h"

namespace plumbline::interaction {
namespace {

inline __mmask8 first8(int64_t count) { return static_cast<__mmask8>((1u << count) - 1); }
inline __mmask16 first16(int64_t count) { return static_cast<__mmask16>((1u << count) - 1); }

inline __m256 to_float(const float *from, int64_t count) {
  return _mm256_maskz_loadu_ps(first8(count), from);
}
inline __m256 to_float(const Bfloat16 *from, int64_t count) {
  return bfloat16_to_float(_mm_maskz_loadu_epi16(first8(count), from));
}
inline __m256 to_float(const Float16 *from, int64_t count) {
  return _mm256_cvtph_ps(_mm_maskz_loadu_epi16(first8(count), from));
}

inline void round_to(__m256 values, float *to, int64_t count) {
  _mm256_mask_storeu_ps(to, first8(count), values);
}
inline void round_to(__m256 values, Bfloat16 *to, int64_t count) {
  _mm_mask_storeu_epi16(to, first8(count), float_to_bfloat16(values));
}
inline void round_to(__m256 values, Float16 *to, int64_t count) {
  _mm_mask_storeu_epi16(to, first8(count), float_to_float16(values));
}

template <class E>
struct MaskedEight : Eight<E> {
  static constexpr int rows = 8, tile = 24;

  static __m256 take_part(const E *from, int64_t count) { return to_float(from, count); }
  static __m256 widen_part(const E *from, int64_t count) { return to_float(from, count); }
  static void put_part(E *to, __m256 sum, int64_t count) { round_to(sum, to, count); }
};

inline __m512 widen16(__m256i halves, Bfloat16) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}
inline __m512 widen16(__m256i halves, Float16) { return _mm512_cvtph_ps(halves); }

inline __m256i round16(__m512 values, Bfloat16) {
  const __m512i bits = _mm512_castps_si512(values);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i nearest =
      _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  const __mmask16 unordered = _mm512_cmp_ps_mask(values, values, _CMP_UNORD_Q);
  const __m512i rounded =
      _mm512_mask_or_epi32(nearest, unordered, bits, _mm512_set1_epi32(0x400000));
  return _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16));
}
inline __m256i round16(__m512 values, Float16) {
  return _mm512_cvtps_ph(values, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

template <class E>
struct SixteenElements {
  static __m512 widen(const E *from) {
    return widen16(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(from)), E{});
  }
  static __m512 widen_part(const E *from, int64_t count) {
    return widen16(_mm256_maskz_loadu_epi16(first16(count), from), E{});
  }
  static void put(E *to, __m512 sum) {
    _mm256_storeu_si256(reinterpret_cast<__m256i *>(to), round16(sum, E{}));
  }
  static void stream(E *to, __m512 sum) {
    _mm256_stream_si256(reinterpret_cast<__m256i *>(to), round16(sum, E{}));
  }
  static void put_part(E *to, __m512 sum, int64_t count) {
    _mm256_mask_storeu_epi16(to, first16(count), round16(sum, E{}));
  }
};

template <>
struct SixteenElements<float> {
  static __m512 widen(const float *from) { return _mm512_loadu_ps(from); }
  static __m512 widen_part(const float *from, int64_t count) {
    return _mm512_maskz_loadu_ps(first16(count), from);
  }
  static void put(float *to, __m512 sum) { _mm512_storeu_ps(to, sum); }
  static void stream(float *to, __m512 sum) { _mm512_stream_ps(to, sum); }
  static void put_part(float *to, __m512 sum, int64_t count) {
    _mm512_mask_storeu_ps(to, first16(count), sum);
  }
};

template <class E>
struct Sixteen : SixteenElements<E> {
  using Element = E;
  using Lane = float;
  using Square = MaskedEight<E>;
  using Lanes = __m512;
  using Sum = __m512;
  static constexpr int width = 16;
  static constexpr int pair = 1;
  static constexpr bool streams = true;

  static void fence() { _mm_sfence(); }
  static __m512 zero() { return _mm512_setzero_ps(); }
  static __m512 multiply_add(__m512 sum, __m512 a, __m512 b) { return _mm512_fmadd_ps(a, b, sum); }
  static __m512 load(const float *from) { return _mm512_loadu_ps(from); }
  static __m512 broadcast(const float *from) { return _mm512_set1_ps(*from); }
  static void keep(float *to, __m512 lanes) { _mm512_storeu_ps(to, lanes); }
  static __m512 take(const E *from) { return SixteenElements<E>::widen(from); }
  static __m512 take_part(const E *from, int64_t count) {
    return SixteenElements<E>::widen_part(from, count);
  }
};

template <>
struct Loops<InstructionSet::avx512> {
  template <class E>
  static Kernels with_elements() {
    using F = Forward<MaskedEight<E>>;
    using B = Backward<Sixteen<E>, 6, 4>;
    return {F::rows, F::scratch, B::rows, B::scratch};
  }
  static Kernels of(Dtype dtype) {
    if (dtype == Dtype::float32) return with_elements<float>();
    return dtype == Dtype::bfloat16 ? with_elements<Bfloat16>() : with_elements<Float16>();
  }
};

}  // namespace
}  // namespace plumbline::interaction

#endif
