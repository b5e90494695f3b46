// What scoring does with rows besides look-ups, layers and interaction: the continuous columns as the
// layers take them, lists of which the maximum or a weighted sum is wanted, and the probability.
//
// Contract (in full: plumbline/dlrm/ops/scoring/contract.py): results do not depend on the order of
// blocks and threads, and rows do not affect each other.
//
// Legend: B rows, C continuous columns, N ids of a list column, P weights of its positions, D embedding
// length, I inputs of the last layer.
#pragma once

#include "interaction_halves.cuh"

namespace plumbline {

// dense (B, C) to out (B, stride): rounded, with zeros behind the last column.
template <typename T>
__global__ void round_dense(Global<const float> dense, Global<T> out, int64_t rows,
                            int64_t columns, int64_t stride) {
  const int64_t step = int64_t(gridDim.x) * blockDim.x;
  for (int64_t item = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; item < rows * stride;
       item += step) {
    const int64_t b = item / stride, column = item - b * stride;
    out[item] = from_float<T>(column < columns ? dense[b * columns + column] : 0.0f);
  }
}

// One list column, and its place in the vectors of a row.
struct ListShape {
  int64_t rows, count, first_row, cardinality, position, vectors, dim, weights;
};

// out[b, position] = for `weights` > 0 the sum, in order, of the list's rows times the weight of their
// position, of which the last one serves all behind it; else their maximum, element by element, where a
// number that is not one stays. A warp a list. An id outside the table is left out, and `outside[0]` is
// the smallest index so far of one; `outside[1]` is the smallest b so far with wrong offsets.
template <typename W, typename T>
__global__ void score_lists(Global<const W> weight, Global<const int64_t> ids,
                            Global<const int64_t> offsets, Global<const float> of_position,
                            Global<T> out, Global<long long> outside, ListShape shape) {
  const int lane = int(threadIdx.x) % kWarp;
  const int64_t warps = int64_t(gridDim.x) * (blockDim.x / kWarp);
  for (int64_t b = int64_t(blockIdx.x) * (blockDim.x / kWarp) + threadIdx.x / kWarp;
       b < shape.rows; b += warps) {
    const int64_t begin = offsets[b], end = offsets[b + 1];
    const bool rises = begin >= 0 && begin <= end && end <= shape.count;
    if (!rises && lane == 0) atomicMin(&outside[1], static_cast<long long>(b));
    for (int64_t d = lane; d < shape.dim; d += kWarp) {
      float pooled = 0.0f;
      for (int64_t n = begin; rises && n < end; ++n) {
        const int64_t id = ids[n];
        if (id < 0 || id >= shape.cardinality) {
          if (lane == 0) atomicMin(&outside[0], static_cast<long long>(n));
          continue;
        }
        const float number = to_float(weight[(shape.first_row + id) * shape.dim + d]);
        const int64_t place = n - begin;
        if (shape.weights > 0)
          pooled = number * of_position[min(place, shape.weights - 1)] + pooled;
        else if (place == 0 || number > pooled || number != number)
          pooled = number;
      }
      out[(b * shape.vectors + shape.position) * shape.dim + d] = from_float<T>(pooled);
    }
  }
}

// 1 / (1 + e⁻ˣ) of x = in (B, stride) · weight (I) + bias. A warp a row: each lane adds every 32nd
// product, in order, and then the lanes add in pairs.
template <typename T>
__global__ void click_probability(Global<const T> in, Global<const float> weight, float bias,
                                  Global<float> probability, int64_t rows, int64_t inputs,
                                  int64_t stride) {
  const int lane = int(threadIdx.x) % kWarp;
  const int64_t warps = int64_t(gridDim.x) * (blockDim.x / kWarp);
  for (int64_t b = int64_t(blockIdx.x) * (blockDim.x / kWarp) + threadIdx.x / kWarp; b < rows;
       b += warps) {
    float sum = 0.0f;
    for (int64_t k = lane; k < inputs; k += kWarp)
      sum = to_float(in[b * stride + k]) * weight[k] + sum;
#pragma unroll
    for (int lanes = kWarp / 2; lanes > 0; lanes /= 2)
      sum += __shfl_xor_sync(0xffffffffu, sum, lanes);
    if (lane == 0) probability[b] = 1.0f / (1.0f + expf(-(sum + bias)));
  }
}

}  // namespace plumbline
