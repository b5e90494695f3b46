// Four lanes on any processor, with the compiler's vector extension.
#pragma once

#include "interaction_backward.h"
#include "interaction_forward.h"

namespace plumbline::interaction {
namespace {

typedef float Four __attribute__((vector_size(16)));

inline float to_float(float value) { return value; }

inline float from_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof(value));
  return value;
}

inline uint32_t to_bits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof(bits));
  return bits;
}

inline float to_float(Bfloat16 value) { return from_bits(static_cast<uint32_t>(value.bits) << 16); }

inline float to_float(Float16 value) {
  const uint32_t sign = (value.bits & 0x8000u) << 16, rest = value.bits & 0x7fffu;
  if (rest >= 0x7c00) return from_bits(sign | 0x7f800000u | (rest & 0x3ffu) << 13);
  // The exponent biases are 15 and 127; the product is exact, also for subnormals.
  const float magnitude = from_bits(rest << 13) * from_bits((254u - 15u) << 23);
  return from_bits(sign | to_bits(magnitude));
}

inline void round_to(float value, float *to) { *to = value; }

inline void round_to(float value, Bfloat16 *to) {
  const uint32_t bits = to_bits(value);
  to->bits = value != value ? (bits >> 16) | 0x40 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

inline void round_to(float value, Float16 *to) {
  const uint32_t bits = to_bits(value), sign = bits >> 16 & 0x8000u;
  uint32_t rest = bits & 0x7fffffffu;
  if (rest > 0x7f800000u) {
    rest = 0x7e00;
  } else if (rest >= 0x477ff000u) {  // 65520 and above round to infinity
    rest = 0x7c00;
  } else if (rest < 0x38800000u) {  // subnormal: the sum's unit in the last place is 2⁻²⁴
    rest = to_bits(from_bits(rest) + 0.5f) - to_bits(0.5f);
  } else {
    rest = (rest + 0xfff + (rest >> 13 & 1) - (112u << 23)) >> 13;
  }
  to->bits = static_cast<uint16_t>(sign | rest);
}

template <class E>
struct Whole {
  using Element = E;
  using Lane = float;
  using Lanes = Four;
  using Sum = Four;
  static constexpr int width = 4;
  static constexpr int rows = 4, tile = 8;
  static constexpr int pair = 1;
  static constexpr bool streams = false;

  static Four zero() { return Four{}; }
  static Four none() { return Four{}; }
  static Four multiply_add(Four sum, Four a, Four b) { return sum + a * b; }
  static Four broadcast(const float *from) { return Four{*from, *from, *from, *from}; }
  static Four load(const float *from) {
    Four lanes;
    memcpy(&lanes, from, sizeof(lanes));
    return lanes;
  }
  static void keep(float *to, Four lanes) { memcpy(to, &lanes, sizeof(lanes)); }
  static Four take(const E *from) {
    return Four{to_float(from[0]), to_float(from[1]), to_float(from[2]), to_float(from[3])};
  }
  static Four widen(const E *from) { return take(from); }
  static void put(E *to, Four sum) {
    for (int i = 0; i < width; ++i) round_to(sum[i], to + i);
  }
  static Four merge(Four a, Four b) { return a + b; }
  static void transpose(Four (&block)[4]) {
    for (int i = 0; i < width; ++i)
      for (int j = 0; j < i; ++j) {
        const float held = block[i][j];
        block[i][j] = block[j][i];
        block[j][i] = held;
      }
  }
};

template <class E>
struct Plain : PartsByCopy<Whole<E>> {
  using Square = Plain;
};

template <>
struct Loops<InstructionSet::plain> {
  template <class E>
  static Kernels with_elements() {
    using V = Plain<E>;
    return {Forward<V>::rows, Forward<V>::scratch,
            Backward<V, 4, 2>::rows, Backward<V, 4, 2>::scratch};
  }
  static Kernels of(Dtype dtype) {
    if (dtype == Dtype::float32) return with_elements<float>();
    return dtype == Dtype::bfloat16 ? with_elements<Bfloat16>() : with_elements<Float16>();
  }
};

}  // namespace
}  // namespace plumbline::interaction
