// The interaction for any shape and dtype. A block computes one 32×32 tile of row b with 64
// threads, 4×4 results each, from parts of 32 items that pass through shared memory as float32.
#pragma once

#include "interaction.cuh"

namespace plumbline {

constexpr int kSide = 32;           // of a tile, and of the parts of its sum
constexpr int kStride = kSide + 4;  // between a part's lines: eight lines use different banks
constexpr int kThreads = 64;
constexpr int kResident = 8;  // minimum blocks per processor: leaves a thread 128 registers
constexpr int kLines = 8;     // 8×8 threads cover the tile; each has every eighth line
constexpr int kEach = kSide / kLines;
constexpr int kPartItems = kSide * kStride;
constexpr int kGeneralBytes = 2 * kPartItems * static_cast<int>(sizeof(float));

__device__ __forceinline__ float4 times_added(float factor, float4 numbers, float4 sum) {
  return make_float4(factor * numbers.x + sum.x, factor * numbers.y + sum.y,
                     factor * numbers.z + sum.z, factor * numbers.w + sum.w);
}

__device__ __forceinline__ float dot_added(float4 a, float4 b, float sum) {
  sum = a.x * b.x + sum;
  sum = a.y * b.y + sum;
  sum = a.z * b.z + sum;
  return a.w * b.w + sum;
}

// Item d of vector i of row b; zero past either end.
template <typename T>
__device__ __forceinline__ float item_of(const Global<const T> &dense,
                                         const Global<const T> &embeddings,
                                         const InteractionShape &shape, int64_t b, int i, int d) {
  if (i >= shape.vectors() || d >= shape.dim) return 0.0f;
  if (shape.has_dense && i == 0) return to_float(dense[b * shape.dim + d]);
  return to_float(embeddings[(b * shape.features + i - shape.has_dense) * shape.dim + d]);
}

// Copies 32 vectors from `first` on, 32 items of each from `begin` on, one vector per line.
template <typename T>
__device__ __forceinline__ void copy_part(const Global<const T> &dense,
                                          const Global<const T> &embeddings,
                                          const InteractionShape &shape, int64_t b, int first,
                                          int begin, const Shared<float> &part) {
#pragma unroll 4
  for (int item = threadIdx.x; item < kSide * kSide; item += kThreads) {
    const int line = item / kSide, d = item % kSide;
    part[line * kStride + d] = item_of<T>(dense, embeddings, shape, b, first + line, begin + d);
  }
}

template <typename T>
__global__ void __launch_bounds__(kThreads, kResident)
    interaction_forward_general(Global<const T> dense, Global<const T> embeddings, Global<T> out,
                                InteractionShape shape) {
  const Shared<float> upper = shared_array<float>(0, kPartItems);
  const Shared<float> lower = shared_array<float>(kPartItems * sizeof(float), kPartItems);
  const int line = threadIdx.x / kLines, column = threadIdx.x % kLines;
  const int64_t tiles = (shape.vectors() + kSide - 1) / kSide, pairs = tiles * (tiles + 1) / 2;

  for (int64_t b = blockIdx.x; b < shape.rows; b += gridDim.x) {
    const int64_t start = b * shape.width();
    for (int64_t pair = blockIdx.y; pair < pairs; pair += gridDim.y) {
      // Tiles of the lower triangle with its diagonal: index `pair` in a strict triangle.
      const int below = row_of(pair);
      const int top = (below - 1) * kSide,
                left = static_cast<int>(pair - index_of(below, 0)) * kSide;
      const Shared<float> of_columns = left == top ? upper : lower;
      float sum[kEach][kEach] = {};
      for (int begin = 0; begin < shape.dim; begin += kSide) {
        __syncthreads();  // the part before has been read
        copy_part<T>(dense, embeddings, shape, b, top, begin, upper);
        if (left != top) copy_part<T>(dense, embeddings, shape, b, left, begin, lower);
        __syncthreads();  // both parts have been copied
        const int items = min(kSide, shape.dim - begin);
        for (int d = 0; d < items; d += kQuad) {
          float4 of_line[kEach], of_column[kEach];
#pragma unroll
          for (int each = 0; each < kEach; ++each) {
            of_line[each] = load_wide<float4>(upper, (line + kLines * each) * kStride + d);
            of_column[each] = load_wide<float4>(of_columns, (column + kLines * each) * kStride + d);
          }
#pragma unroll
          for (int i = 0; i < kEach; ++i)
#pragma unroll
            for (int j = 0; j < kEach; ++j)
              sum[i][j] = dot_added(of_line[i], of_column[j], sum[i][j]);
        }
      }
#pragma unroll
      for (int i = 0; i < kEach; ++i)
#pragma unroll
        for (int j = 0; j < kEach; ++j) {
          const int one = top + line + kLines * i, other = left + column + kLines * j;
          if (other < one && one < shape.vectors())
            out[start + shape.first_dot() + index_of(one, other)] = from_float<T>(sum[i][j]);
        }
    }
    if (blockIdx.y != 0) continue;
    for (int64_t item = threadIdx.x; item < shape.first_dot(); item += kThreads)
      out[start + item] = dense[b * shape.dim + item];
    for (int64_t item = shape.first_zero() + threadIdx.x; item < shape.width(); item += kThreads)
      out[start + item] = from_float<T>(0.0f);
  }
}

// Tiles of the gradient of V, S · V: 32 vectors by 32 items, summed over parts of 32 vectors.
template <typename T>
__global__ void __launch_bounds__(kThreads, kResident)
    interaction_backward_general(Global<const T> gradient, Global<const T> dense,
                                 Global<const T> embeddings, Global<T> dense_gradient,
                                 Global<T> embedding_gradient, InteractionShape shape) {
  const Shared<float> symmetric = shared_array<float>(0, kPartItems);
  const Shared<float> vectors = shared_array<float>(kPartItems * sizeof(float), kPartItems);
  const int line = threadIdx.x / kLines, column = threadIdx.x % kLines * kEach;
  const int64_t across = (shape.dim + kSide - 1) / kSide;
  const int64_t tiles = (shape.vectors() + kSide - 1) / kSide * across;

  for (int64_t b = blockIdx.x; b < shape.rows; b += gridDim.x) {
    const int64_t start = b * shape.width();
    for (int64_t tile = blockIdx.y; tile < tiles; tile += gridDim.y) {
      const int top = static_cast<int>(tile / across) * kSide;
      const int left = static_cast<int>(tile % across) * kSide;
      float4 sum[kEach] = {};
      for (int begin = 0; begin < shape.vectors(); begin += kSide) {
        __syncthreads();  // the parts before have been read
#pragma unroll 4
        for (int item = threadIdx.x; item < kSide * kSide; item += kThreads) {
          const int i = top + item / kSide, j = begin + item % kSide;
          const bool is_dot = i != j && i < shape.vectors() && j < shape.vectors();
          const int64_t index =
              start + shape.first_dot() + (i > j ? index_of(i, j) : index_of(j, i));
          symmetric[item / kSide * kStride + item % kSide] =
              is_dot ? to_float(gradient[index]) : 0.0f;
        }
        copy_part<T>(dense, embeddings, shape, b, begin, left, vectors);
        __syncthreads();
        const int partners = min(kSide, shape.vectors() - begin);
        for (int j = 0; j < partners; ++j) {
          const float4 items = load_wide<float4>(vectors, j * kStride + column);
#pragma unroll
          for (int each = 0; each < kEach; ++each)
            sum[each] =
                times_added(symmetric[(line + kLines * each) * kStride + j], items, sum[each]);
        }
      }
#pragma unroll
      for (int each = 0; each < kEach; ++each) {
        const int i = top + line + kLines * each;
        if (i >= shape.vectors()) continue;
        const float numbers[kQuad] = {sum[each].x, sum[each].y, sum[each].z, sum[each].w};
#pragma unroll
        for (int item = 0; item < kQuad; ++item) {
          const int d = left + column + item;
          if (d >= shape.dim) continue;
          if (shape.has_dense && i == 0)
            dense_gradient[b * shape.dim + d] =
                from_float<T>(numbers[item] + to_float(gradient[start + d]));
          else
            embedding_gradient[(b * shape.features + i - shape.has_dense) * shape.dim + d] =
                from_float<T>(numbers[item]);
        }
      }
    }
  }
}

}  // namespace plumbline
