// The kernels' dtypes, and conversion to float32 and back.
#pragma once

#include "device.cuh"

namespace plumbline {

using bfloat16 = __nv_bfloat16;
using float16 = __half;

enum class Number : int { float32 = 0, bfloat16 = 1, float16 = 2 };

__device__ __forceinline__ float to_float(float number) { return number; }
__device__ __forceinline__ float to_float(bfloat16 number) { return __bfloat162float(number); }
__device__ __forceinline__ float to_float(float16 number) { return __half2float(number); }

// Rounds to nearest, ties to even.
template <typename T>
__device__ __forceinline__ T from_float(float number);
template <>
__device__ __forceinline__ float from_float<float>(float number) {
  return number;
}
template <>
__device__ __forceinline__ bfloat16 from_float<bfloat16>(float number) {
  return __float2bfloat16_rn(number);
}
template <>
__device__ __forceinline__ float16 from_float<float16>(float number) {
  return __float2half_rn(number);
}

// Items moved in one access of at most 16 bytes.
template <typename T, int Count>
struct alignas(sizeof(T) * Count) Pack {
  T items[Count];
};

// Two numbers, rounded by one instruction of sm_80 and newer.
template <typename T>
__device__ __forceinline__ Pack<T, 2> rounded_pair(float first, float second) {
  if constexpr (std::is_same_v<T, float16>) {
    const __half2 pair = __floats2half2_rn(first, second);
    return {pair.x, pair.y};
  } else {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(first, second);
    return {pair.x, pair.y};
  }
}

__host__ __device__ __forceinline__ int64_t rounded_up(int64_t count, int64_t to) {
  return (count + to - 1) / to * to;
}

constexpr int kQuad = 4;

// Items first … first + 3 of a row that ends before `end`, as float32, with zeros past the end.
// `wide` means that rows are aligned to whole quads and end with one.
template <typename T>
__device__ __forceinline__ float4 load_quad(const Global<const T> &array, int64_t first,
                                            int64_t end, bool wide) {
  if (wide) {
    const auto pack = load_wide<Pack<T, kQuad>>(array, first);
    return make_float4(to_float(pack.items[0]), to_float(pack.items[1]), to_float(pack.items[2]),
                       to_float(pack.items[3]));
  }
  float numbers[kQuad];
#pragma unroll
  for (int each = 0; each < kQuad; ++each)
    numbers[each] = first + each < end ? to_float(array[first + each]) : 0.0f;
  return make_float4(numbers[0], numbers[1], numbers[2], numbers[3]);
}

// The inverse: rounds, and writes nothing past the end.
template <typename T>
__device__ __forceinline__ void store_quad(const Global<T> &array, int64_t first, int64_t end,
                                           bool wide, const Pack<T, kQuad> &pack) {
  if (wide) {
    store_wide(array, first, pack);
    return;
  }
#pragma unroll
  for (int each = 0; each < kQuad; ++each)
    if (first + each < end) array[first + each] = pack.items[each];
}

template <typename T>
__device__ __forceinline__ Pack<T, kQuad> rounded(float4 numbers) {
  return {from_float<T>(numbers.x), from_float<T>(numbers.y), from_float<T>(numbers.z),
          from_float<T>(numbers.w)};
}

// Host side: calls work(std::integral_constant<int, D>()) if `dim` is one of the lengths D that
// have kernels of their own; returns whether it is.
template <typename Work>
bool with_common_dim(int64_t dim, Work work) {
  const auto is = [&](auto known) {
    if (dim == known) work(known);
    return dim == known;
  };
  return is(std::integral_constant<int, 16>()) || is(std::integral_constant<int, 32>()) ||
         is(std::integral_constant<int, 64>()) || is(std::integral_constant<int, 128>());
}

// Host side: whether an address and a row's length allow moves of whole packs of `bytes`.
inline bool aligned(const void *start, int64_t row_bytes, int64_t bytes) {
  return reinterpret_cast<uintptr_t>(start) % bytes == 0 && row_bytes % bytes == 0;
}

}  // namespace plumbline
