// What the interaction's kernels on tensor cores share: 16-bit vectors in a warp's shared memory.
#pragma once

#include "interaction.cuh"

namespace plumbline {

constexpr int kWarp = 32;
constexpr int kTile = 16;
constexpr int kSkew = 8;        // items between the end of a row in shared memory and the next one
constexpr int kPackBytes = 16;  // moved by a lane at a time
constexpr int kHalfBytes = 2;   // size of bfloat16 and float16, the inputs of tensor cores
constexpr int kPackItems = kPackBytes / kHalfBytes;

template <typename T>
using HalfPack = Pack<T, kPackItems>;

template <typename T>
__device__ __forceinline__ void fill_zero(const Shared<T> &array, int items, int lane) {
  const HalfPack<T> zeros{};
  for (int pack = lane; pack < items / kPackItems; pack += kWarp)
    store_wide(array, pack * kPackItems, zeros);
}

}  // namespace plumbline
