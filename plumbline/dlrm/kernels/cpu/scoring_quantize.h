// Float32 numbers as int8 with one scale. Only for loops, see instruction_set.h. The compiler
// vectorizes these loops.
#pragma once

#include <cstdint>
#include <cstring>

namespace plumbline {
namespace {

inline int32_t bits_of(float number) {
  int32_t bits;
  std::memcpy(&bits, &number, sizeof bits);
  return bits;
}

// Magnitudes compare as their bits do, NaN above all.
inline int32_t largest_magnitude(const float *from, int64_t width) {
  int32_t largest = 0;
  for (int64_t k = 0; k < width; ++k) {
    const int32_t magnitude = bits_of(from[k]) & 0x7FFFFFFF;
    largest = magnitude > largest ? magnitude : largest;
  }
  return largest;
}

// Writes zeros from `width` to `stride`, and returns the scale.
inline float quantize_row(const float *from, int64_t width, int8_t *to, int64_t stride) {
  constexpr int32_t kInfinite = 0x7F800000, kSmallest = (127 - 60) << 23;
  const int32_t bits = largest_magnitude(from, width);
  float scale = 0.0f, inverse = 0.0f;
  if (bits >= kInfinite) {
    scale = __builtin_nanf("");
  } else if (bits >= kSmallest) {
    float largest;
    std::memcpy(&largest, &bits, sizeof largest);
    scale = largest / 127.0f;
    inverse = 127.0f / largest;
  }
  // 1.5 · 2²³: the sum rounds to an integer, which is in its last bits.
  constexpr float kInteger = 12582912.0f;
  for (int64_t k = 0; k < width; ++k)
    to[k] = static_cast<int8_t>(bits_of(from[k] * inverse + kInteger));
  std::memset(to + width, 0, static_cast<size_t>(stride - width));
  return scale;
}

}  // namespace
}  // namespace plumbline
