// The toolkit's 16-bit floats and small vectors, as far as the kernels use them.
#pragma once

#include <bit>
#include <cstdint>

struct __nv_bfloat16 {
  uint16_t bits;
};

struct __half {
  _Float16 value;
};

struct alignas(16) float4 {
  float x, y, z, w;
};

struct alignas(16) uint4 {
  uint32_t x, y, z, w;
};

struct alignas(8) uint2 {
  uint32_t x, y;
};

inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline uint4 make_uint4(uint32_t x, uint32_t y, uint32_t z, uint32_t w) { return {x, y, z, w}; }

inline unsigned __float_as_uint(float value) { return std::bit_cast<uint32_t>(value); }
inline float __uint_as_float(unsigned bits) { return std::bit_cast<float>(bits); }
inline __nv_bfloat16 __ushort_as_bfloat16(uint16_t bits) { return {bits}; }

inline float __bfloat162float(__nv_bfloat16 number) {
  return __uint_as_float(uint32_t(number.bits) << 16);
}

// Rounds to nearest, ties to even.
inline __nv_bfloat16 __float2bfloat16_rn(float number) {
  const uint32_t bits = __float_as_uint(number);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return {0x7fff};
  return {uint16_t((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16)};
}

struct __nv_bfloat162 {
  __nv_bfloat16 x, y;
};

struct __half2 {
  __half x, y;
};

inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y) {
  return {__float2bfloat16_rn(x), __float2bfloat16_rn(y)};
}

inline float __half2float(__half number) { return float(number.value); }
inline __half __float2half_rn(float number) { return {_Float16(number)}; }
inline __half2 __floats2half2_rn(float x, float y) {
  return {__float2half_rn(x), __float2half_rn(y)};
}
