// Groups of lanes that share a vector: a power of two lanes, enough for four items each, at most a
// warp. For D = 128 a warp moves 512 contiguous bytes of float32 at a time.
#pragma once

#include "numbers.cuh"

namespace plumbline {

constexpr int kWarp = 32;

inline int group_of(int64_t dim) {
  int lanes = 1;
  while (lanes < kWarp && lanes * kQuad < dim) lanes *= 2;
  return lanes;
}

// Index of the thread's group in the grid, and its lane in the group.
struct GroupPlace {
  int64_t group, groups;
  int lane;

  __device__ explicit GroupPlace(int size)
      : group((int64_t(blockIdx.x) * blockDim.x + threadIdx.x) / size),
        groups(int64_t(gridDim.x) * blockDim.x / size),
        lane(static_cast<int>(threadIdx.x % size)) {}
};

}  // namespace plumbline
