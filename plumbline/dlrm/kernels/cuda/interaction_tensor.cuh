// The interaction on tensor cores: one warp per row, 16×16×16 products of 16-bit numbers, summed in
// float32.
//
// A warp copies the N vectors of its row into shared memory, (N, D) padded with zeros to multiples
// of 16. The rows of this matrix are D + 8 items apart, so the eight rows that a fragment loads at
// a time use different banks. A fragment is stored to a 16×16 float32 tile, from which the warp
// rounds it. Warps share nothing, so no block barrier is needed.
#pragma once

#include "interaction_halves.cuh"

namespace plumbline {

constexpr int kTileStride = kTile + 4;
constexpr int kArrayAlignment = 32;  // bytes: alignment of a fragment's address

// Whether the target architecture multiplies this dtype; the host calls `multiplies`.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
template <typename T>
constexpr bool kMultiplies = std::is_same_v<T, float16>;
#else
template <typename T>
constexpr bool kMultiplies = true;
#endif

template <typename T>
bool multiplies(const Device &device) {
  return device.compute_capability >= (std::is_same_v<T, float16> ? 70 : 80);
}

// Layout of a warp's shared memory in both kernels: offsets, and sizes in items.
struct WarpMemory {
  int padded_vectors, padded_dim;
  int vector_stride;     // of the vectors, (padded N, stride)
  int symmetric_stride;  // of the backward pass's symmetric matrix, (padded N, stride)
  int row_items;         // of the forward pass's row of the result
  int tile_offset, extra_offset, bytes;

  __host__ __device__ WarpMemory(const InteractionShape &shape, bool forward)
      : padded_vectors(static_cast<int>(rounded_up(shape.vectors(), kTile))),
        padded_dim(static_cast<int>(rounded_up(shape.dim, kTile))),
        vector_stride(padded_dim + kSkew),
        symmetric_stride(padded_vectors + kSkew),
        row_items(static_cast<int>(shape.width())) {
    tile_offset = bytes_of(vector_items());
    extra_offset = tile_offset + kTile * kTileStride * static_cast<int>(sizeof(float));
    bytes = extra_offset + bytes_of(forward ? row_items : symmetric_items());
  }

  __host__ __device__ int vector_items() const { return padded_vectors * vector_stride; }
  __host__ __device__ int symmetric_items() const { return padded_vectors * symmetric_stride; }
  __host__ __device__ static int bytes_of(int halves) {
    return static_cast<int>(rounded_up(int64_t(halves) * kHalfBytes, kArrayAlignment));
  }
};

// Copies `count` vectors, from item `first` of `from`, to the rows of `to` from `row` on.
template <typename T>
__device__ __forceinline__ void copy_vectors(const Global<const T> &from, int64_t first, int count,
                                             int dim, const Shared<T> &to, int row, int stride,
                                             bool wide, int lane) {
  if (wide) {
    const int packs = dim / kPackItems;
#pragma unroll 4
    for (int pack = lane; pack < count * packs; pack += kWarp) {
      const int vector = pack / packs, index = (pack - vector * packs) * kPackItems;
      store_wide(to, (row + vector) * stride + index,
                 load_wide<HalfPack<T>>(from, first + int64_t(vector) * dim + index));
    }
    return;
  }
  for (int item = lane; item < count * dim; item += kWarp) {
    const int vector = item / dim, index = item - vector * dim;
    to[(row + vector) * stride + index] = from[first + item];
  }
}

// Copies all N vectors of row b.
template <typename T>
__device__ __forceinline__ void copy_row(const Global<const T> &dense,
                                         const Global<const T> &embeddings, int64_t b,
                                         const InteractionShape &shape, const Shared<T> &to,
                                         int stride, bool wide, int lane) {
  if (shape.has_dense)
    copy_vectors<T>(dense, b * shape.dim, 1, shape.dim, to, 0, stride, wide, lane);
  copy_vectors<T>(embeddings, b * shape.features * shape.dim, shape.features, shape.dim, to,
                  shape.has_dense, stride, wide, lane);
}

// `wide`: whether vectors can be moved in packs of 16 bytes; `wide_out`: the same for the result.
template <typename T>
__global__ void interaction_forward_tensor(Global<const T> dense, Global<const T> embeddings,
                                           Global<T> out, InteractionShape shape, bool wide,
                                           bool wide_out) {
  if constexpr (kMultiplies<T>) {
    const WarpMemory memory(shape, true);
    const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp, warps = blockDim.x / kWarp;
    const int64_t start = int64_t(warp) * memory.bytes;
    const Shared<T> vectors = shared_array<T>(start, memory.vector_items());
    const Shared<float> tile = shared_array<float>(start + memory.tile_offset, kTile * kTileStride);
    const Shared<T> row = shared_array<T>(start + memory.extra_offset, memory.row_items);
    const int first_dot = static_cast<int>(shape.first_dot());
    const int first_zero = static_cast<int>(shape.first_zero());

    fill_zero(vectors, memory.vector_items(), lane);  // rows N and items D onwards stay zero
    __syncwarp();
    for (int64_t b = int64_t(blockIdx.x) * warps + warp; b < shape.rows;
         b += int64_t(gridDim.x) * warps) {
      copy_row<T>(dense, embeddings, b, shape, vectors, memory.vector_stride, wide, lane);
      for (int item = first_zero + lane; item < memory.row_items; item += kWarp)
        row[item] = from_float<T>(0.0f);
      __syncwarp();
      for (int item = lane; item < first_dot; item += kWarp) row[item] = vectors[item];

      for (int top = 0; top < memory.padded_vectors; top += kTile) {
        for (int left = 0; left <= top; left += kTile) {
          wmma::fragment<wmma::accumulator, kTile, kTile, kTile, float> sum;
          wmma::fill_fragment(sum, 0.0f);
          for (int k = 0; k < memory.padded_dim; k += kTile) {
            wmma::fragment<wmma::matrix_a, kTile, kTile, kTile, T, wmma::row_major> a;
            wmma::fragment<wmma::matrix_b, kTile, kTile, kTile, T, wmma::col_major> b_transposed;
            wmma::load_matrix_sync(a, vectors + (top * memory.vector_stride + k),
                                   memory.vector_stride);
            wmma::load_matrix_sync(b_transposed, vectors + (left * memory.vector_stride + k),
                                   memory.vector_stride);
            wmma::mma_sync(sum, a, b_transposed, sum);
          }
          wmma::store_matrix_sync(tile, sum, kTileStride, wmma::mem_row_major);
          __syncwarp();  // the lanes below read what other lanes stored in `tile`
          for (int item = lane; item < kTile * kTile; item += kWarp) {
            const int i = top + item / kTile, j = left + item % kTile;
            if (j < i && i < shape.vectors())
              row[first_dot + static_cast<int>(index_of(i, j))] =
                  from_float<T>(tile[item / kTile * kTileStride + item % kTile]);
          }
          __syncwarp();  // the next tile of dots takes its place
        }
      }

      const int64_t first = b * memory.row_items;
      if (wide_out) {
        for (int item = lane * kPackItems; item < memory.row_items; item += kWarp * kPackItems)
          store_wide(out, first + item, load_wide<HalfPack<T>>(row, item));
      } else {
        for (int item = lane; item < memory.row_items; item += kWarp) out[first + item] = row[item];
      }
      __syncwarp();  // the next row takes its place
    }
  }
}

// The gradient of the vectors is S · V, where S is the symmetric matrix of the dots' gradients.
template <typename T>
__global__ void interaction_backward_tensor(Global<const T> gradient, Global<const T> dense,
                                            Global<const T> embeddings, Global<T> dense_gradient,
                                            Global<T> embedding_gradient, InteractionShape shape,
                                            bool wide) {
  if constexpr (kMultiplies<T>) {
    const WarpMemory memory(shape, false);
    const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp, warps = blockDim.x / kWarp;
    const int64_t start = int64_t(warp) * memory.bytes;
    const Shared<T> vectors = shared_array<T>(start, memory.vector_items());
    const Shared<float> tile = shared_array<float>(start + memory.tile_offset, kTile * kTileStride);
    const Shared<T> symmetric =
        shared_array<T>(start + memory.extra_offset, memory.symmetric_items());
    const int pairs = static_cast<int>(shape.first_zero() - shape.first_dot());

    // The padding and the diagonal are not written again.
    fill_zero(vectors, memory.vector_items(), lane);
    fill_zero(symmetric, memory.symmetric_items(), lane);
    __syncwarp();
    for (int64_t b = int64_t(blockIdx.x) * warps + warp; b < shape.rows;
         b += int64_t(gridDim.x) * warps) {
      const int64_t first_gradient = b * shape.width();
      copy_row<T>(dense, embeddings, b, shape, vectors, memory.vector_stride, wide, lane);
      for (int pair = lane; pair < pairs; pair += kWarp) {
        const T dot = gradient[first_gradient + shape.first_dot() + pair];
        const int i = row_of(pair), j = pair - static_cast<int>(index_of(i, 0));
        symmetric[i * memory.symmetric_stride + j] = dot;
        symmetric[j * memory.symmetric_stride + i] = dot;
      }
      __syncwarp();

      for (int top = 0; top < memory.padded_vectors; top += kTile) {
        for (int left = 0; left < memory.padded_dim; left += kTile) {
          wmma::fragment<wmma::accumulator, kTile, kTile, kTile, float> sum;
          wmma::fill_fragment(sum, 0.0f);
          for (int k = 0; k < memory.padded_vectors; k += kTile) {
            wmma::fragment<wmma::matrix_a, kTile, kTile, kTile, T, wmma::row_major> a;
            wmma::fragment<wmma::matrix_b, kTile, kTile, kTile, T, wmma::row_major> v;
            wmma::load_matrix_sync(a, symmetric + (top * memory.symmetric_stride + k),
                                   memory.symmetric_stride);
            wmma::load_matrix_sync(v, vectors + (k * memory.vector_stride + left),
                                   memory.vector_stride);
            wmma::mma_sync(sum, a, v, sum);
          }
          wmma::store_matrix_sync(tile, sum, kTileStride, wmma::mem_row_major);
          __syncwarp();  // the lanes below read what other lanes stored
          // Each lane rounds half a line.
          const int i = top + lane / 2, d = left + lane % 2 * kPackItems;
          if (i < shape.vectors() && d < shape.dim) {
            const bool is_dense = shape.has_dense && i == 0;
            const int64_t first = is_dense
                                      ? b * shape.dim + d
                                      : (b * shape.features + i - shape.has_dense) * shape.dim + d;
            const auto item_at = [&](int each) {
              float number = tile[lane / 2 * kTileStride + lane % 2 * kPackItems + each];
              if (is_dense) number += to_float(gradient[first_gradient + d + each]);
              return from_float<T>(number);
            };
            const Global<T> to = is_dense ? dense_gradient : embedding_gradient;
            if (wide) {
              HalfPack<T> pack;
#pragma unroll
              for (int each = 0; each < kPackItems; ++each) pack.items[each] = item_at(each);
              store_wide(to, first, pack);
            } else {
              for (int each = 0; each < kPackItems && d + each < shape.dim; ++each)
                to[first + each] = item_at(each);
            }
          }
          __syncwarp();  // the next tile takes its place
        }
      }
    }
  }
}

}  // namespace plumbline
