// Shapes of the interaction, as its kernels share them. Contract: plumbline/dlrm/ops/interaction/contract.py.
//
// Legend: B rows, F embeddings of a row, D their length, N vectors of a row, K width of the result.
#pragma once

#include "numbers.cuh"

namespace plumbline {

struct InteractionShape {
  int64_t rows;
  int features, dim;
  int has_dense;

  __host__ __device__ int vectors() const { return features + has_dense; }
  // Where the dots begin in a row of the result, and where its padding does.
  __host__ __device__ int64_t first_dot() const { return has_dense ? dim : 0; }
  __host__ __device__ int64_t first_zero() const {
    return first_dot() + int64_t(vectors()) * (vectors() - 1) / 2;
  }
  __host__ __device__ int64_t width() const { return (first_zero() + 7) / 8 * 8; }
};

// Place of the dot of vectors `row` > `column` in the strict lower triangle.
__host__ __device__ __forceinline__ int64_t index_of(int row, int column) {
  return int64_t(row) * (row - 1) / 2 + column;
}

// The row of the strict lower triangle that an index lies in.
__device__ __forceinline__ int row_of(int64_t index) {
  int row = static_cast<int>((1.0f + sqrtf(8.0f * static_cast<float>(index) + 1.0f)) * 0.5f);
  while (index_of(row, 0) > index) --row;
  while (index_of(row + 1, 0) <= index) ++row;
  return row;
}

}  // namespace plumbline
