// Sixteen numbers at a time, for any storage dtype. Only for loops, see instruction_set.h.
//
// GCC and Clang map these types to one register or several, as the instruction set allows.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "dtypes.h"

namespace plumbline {
namespace {

constexpr int64_t kLanes = 16;

using Floats = float __attribute__((vector_size(64)));
using Words = uint32_t __attribute__((vector_size(64)));
using Ints = int32_t __attribute__((vector_size(64)));
using Halves = uint16_t __attribute__((vector_size(32)));

inline Words bits_of(Floats values) { return reinterpret_cast<Words>(values); }

inline Floats with_bits(Words bits) { return reinterpret_cast<Floats>(bits); }

template <typename Values, typename Element>
inline Values read(const Element *from) {
  Values values;
  std::memcpy(&values, from, sizeof values);
  return values;
}

inline Floats widened(const float *from) { return read<Floats>(from); }

inline Floats widened(const Bfloat16 *from) {
  return with_bits(__builtin_convertvector(read<Halves>(from), Words) << 16);
}

inline Floats widened(const Float16 *from) {
  const Words bits = __builtin_convertvector(read<Halves>(from), Words);
  const Words magnitude = bits & 0x7FFFu;
  // The exponent biases differ by 112; the product makes subnormal numbers normal.
  const Words finite = bits_of(with_bits(magnitude << 13) * 0x1p112f);
  const Words others = (magnitude << 13) | 0x7F800000u;
  return with_bits((magnitude >= 0x7C00u ? others : finite) | (bits & 0x8000u) << 16);
}

// This comparison keeps NaN.
inline Floats relu(Floats values) { return values < 0.0f ? Floats{} : values; }

// Rounds to nearest, ties to even. The native instruction flushes subnormal numbers to zero.
inline Halves nearest_bfloat16(Floats values) {
#if defined(__AVX512BF16__)
  return reinterpret_cast<Halves>(_mm512_cvtneps_pbh(reinterpret_cast<__m512>(values)));
#else
  const Words bits = bits_of(values);
  const Words nearest = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
  const Words quiet = (bits >> 16) | 0x40u;
  return __builtin_convertvector((bits & 0x7FFFFFFFu) > 0x7F800000u ? quiet : nearest, Halves);
#endif
}

inline Halves nearest_float16(Floats values) {
  const Words bits = bits_of(values), magnitude = bits & 0x7FFFFFFFu;
  const Words normal = (magnitude + 0xFFFu + ((magnitude >> 13) & 1u) - 0x38000000u) >> 13;
  // Below 2⁻¹⁴: the last bit of 0.5 is worth 2⁻²⁴, like the last bit of these.
  const Words subnormal = bits_of(with_bits(magnitude) + 0.5f) - 0x3F000000u;
  const Words infinite = Words{} + 0x7C00u, nan = Words{} + 0x7E00u;
  Words nearest = magnitude < 0x38800000u ? subnormal : normal;
  nearest = magnitude >= 0x47800000u ? infinite : nearest;  // 65536
  nearest = magnitude > 0x7F800000u ? nan : nearest;
  return __builtin_convertvector(nearest | (bits & 0x80000000u) >> 16, Halves);
}

inline Floats narrowed(Floats values, float) { return values; }
inline Halves narrowed(Floats values, Bfloat16) { return nearest_bfloat16(values); }
inline Halves narrowed(Floats values, Float16) { return nearest_float16(values); }

// The first `count` numbers, zeros after them.
template <typename Element>
inline Floats load(const Element *from, int64_t count = kLanes) {
  if (__builtin_expect(count >= kLanes, 1)) return widened(from);
  Element part[kLanes] = {};
  std::memcpy(part, from, static_cast<size_t>(count) * sizeof(Element));
  return widened(part);
}

// The first `count` of sixteen numbers in their storage dtype.
template <typename Element, typename Values>
inline void put(Element *to, Values values, int64_t count = kLanes) {
  const int64_t stored = count >= kLanes ? kLanes : count;
  if (__builtin_expect(stored == kLanes, 1))
    std::memcpy(to, &values, sizeof values);
  else
    std::memcpy(to, &values, static_cast<size_t>(stored) * sizeof(Element));
}

template <typename Element>
inline void store(Element *to, Floats values, int64_t count = kLanes) {
  put(to, narrowed(values, Element{}), count);
}

}  // namespace
}  // namespace plumbline
