// Shapes of the interaction, shared by its kernels.
//
// Contract (in full: plumbline/dlrm/ops/interaction/contract.py): zero rows are valid. A dot
// differs from the exact one by at most D · 2⁻²³ · Σ|a·b| plus one rounding to the dtype. Results
// do not depend on the order of blocks and threads. Rows do not affect each other.
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
  // Start of the dots in a row of the result, and of its padding.
  __host__ __device__ int64_t first_dot() const { return has_dense ? dim : 0; }
  __host__ __device__ int64_t first_zero() const {
    return first_dot() + int64_t(vectors()) * (vectors() - 1) / 2;
  }
  __host__ __device__ int64_t width() const { return (first_zero() + 7) / 8 * 8; }
};

// Index of the dot of vectors `row` > `column` in the strict lower triangle.
__host__ __device__ __forceinline__ int64_t index_of(int row, int column) {
  return int64_t(row) * (row - 1) / 2 + column;
}

// Row of an index in the strict lower triangle.
__device__ __forceinline__ int row_of(int64_t index) {
  int row = static_cast<int>((1.0f + sqrtf(8.0f * static_cast<float>(index) + 1.0f)) * 0.5f);
  while (index_of(row, 0) > index) --row;
  while (index_of(row + 1, 0) <= index) ++row;
  return row;
}

}  // namespace plumbline
