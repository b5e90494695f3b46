// A layer of the MLPs, forward: max(0, x · Wᵀ + b), for any dtype, on ordinary cores.
//
// Contract: inputs are a multiple of eight, and numbers that pad them are zero on both sides. A sum is
// one chain of fused products in ascending order of the inputs, whichever tile computes it, so a row's
// result has the same bits in any batch. Numbers past the last output or row are not written.
//
// A block computes a tile of the result from parts of the inputs that pass through shared memory as
// float32. The next part is on its way while one is multiplied.
//
// Legend: B rows, I inputs, O outputs.
#pragma once

#include "numbers.cuh"

namespace plumbline {

struct LayerShape {
  int64_t rows, inputs, outputs;
};

// ReLU; a number that is not one stays.
__device__ __forceinline__ float positive(float number) { return number < 0.0f ? 0.0f : number; }

// Many rows: as much work a loaded number as registers allow.
struct SquareTile {
  static constexpr int kRows = 64, kOutputs = 64, kDepth = 16;
  static constexpr int kEachRows = 4, kEachOutputs = 4;  // results of a thread
};

// Few rows: many blocks, each of which has much of the weights under way.
struct FlatTile {
  static constexpr int kRows = 8, kOutputs = 16, kDepth = 64;
  static constexpr int kEachRows = 1, kEachOutputs = 1;
};

template <typename Tile>
struct LayerPlaces {
  static constexpr int kAcross = Tile::kOutputs / Tile::kEachOutputs;
  static constexpr int kThreads = Tile::kRows / Tile::kEachRows * kAcross;
  static constexpr int kRowStride = Tile::kRows + kQuad, kOutputStride = Tile::kOutputs + kQuad;
  static constexpr int kRowItems = Tile::kDepth * kRowStride;
  static constexpr int kOutputItems = Tile::kDepth * kOutputStride;
  static constexpr int kBytes = (kRowItems + kOutputItems) * static_cast<int>(sizeof(float));
};

// A thread's share of `Lines` lines of a part, in registers.
template <typename T, int Lines, int Depth, int Threads>
class PartOfLines {
 public:
  // Items begin … begin + Depth - 1 of the lines from `first` on; zeros past the last line or item.
  __device__ void load(const Global<const T> &from, int64_t first, int64_t lines, int64_t items,
                       int64_t begin) {
#pragma unroll
    for (int each = 0; each < kQuads; ++each) {
      const int64_t line = first + line_of(each), item = begin + item_of(each);
      quads_[each] = line < lines && item < items
                         ? load_quad<T>(from, line * items + item, items, true)
                         : make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    }
  }

  // Writes them item by item, so that neighbouring lines are neighbours.
  __device__ void store(const Shared<float> &to, int stride) const {
#pragma unroll
    for (int each = 0; each < kQuads; ++each) {
      const int place = item_of(each) * stride + line_of(each);
      to[place] = quads_[each].x;
      to[place + stride] = quads_[each].y;
      to[place + 2 * stride] = quads_[each].z;
      to[place + 3 * stride] = quads_[each].w;
    }
  }

 private:
  static constexpr int kOfLine = Depth / kQuad;
  static constexpr int kQuads = Lines * kOfLine / Threads;
  static_assert(kQuads * Threads == Lines * kOfLine);

  __device__ static int line_of(int each) { return (int(threadIdx.x) + each * Threads) / kOfLine; }
  __device__ static int item_of(int each) {
    return (int(threadIdx.x) + each * Threads) % kOfLine * kQuad;
  }

  float4 quads_[kQuads];
};

template <typename T, typename Tile>
__global__ void __launch_bounds__(LayerPlaces<Tile>::kThreads)
    linear_relu_general(Global<const T> in, Global<const T> weight, Global<const float> bias,
                        Global<T> out, LayerShape shape) {
  using Places = LayerPlaces<Tile>;
  constexpr int kEachRows = Tile::kEachRows, kEachOutputs = Tile::kEachOutputs;
  const Shared<float> of_rows = shared_array<float>(0, Places::kRowItems);
  const Shared<float> of_outputs =
      shared_array<float>(Places::kRowItems * sizeof(float), Places::kOutputItems);
  const int row = int(threadIdx.x) / Places::kAcross * kEachRows;
  const int output = int(threadIdx.x) % Places::kAcross * kEachOutputs;
  const int64_t top = int64_t(blockIdx.y) * Tile::kRows;
  const int64_t left = int64_t(blockIdx.x) * Tile::kOutputs;

  PartOfLines<T, Tile::kRows, Tile::kDepth, Places::kThreads> rows;
  PartOfLines<T, Tile::kOutputs, Tile::kDepth, Places::kThreads> outputs;
  const auto load = [&](int64_t begin) {
    rows.load(in, top, shape.rows, shape.inputs, begin);
    outputs.load(weight, left, shape.outputs, shape.inputs, begin);
  };
  float sum[kEachRows][kEachOutputs] = {};
  load(0);
  for (int64_t begin = 0; begin < shape.inputs; begin += Tile::kDepth) {
    __syncthreads();  // the part before has been multiplied
    rows.store(of_rows, Places::kRowStride);
    outputs.store(of_outputs, Places::kOutputStride);
    __syncthreads();  // the whole part is there
    if (begin + Tile::kDepth < shape.inputs) load(begin + Tile::kDepth);
#pragma unroll 8
    for (int k = 0; k < Tile::kDepth; ++k) {
      const auto x = load_wide<Pack<float, kEachRows>>(of_rows, k * Places::kRowStride + row);
      const auto w =
          load_wide<Pack<float, kEachOutputs>>(of_outputs, k * Places::kOutputStride + output);
#pragma unroll
      for (int i = 0; i < kEachRows; ++i)
#pragma unroll
        for (int j = 0; j < kEachOutputs; ++j) sum[i][j] = fmaf(x.items[i], w.items[j], sum[i][j]);
    }
  }
#pragma unroll
  for (int i = 0; i < kEachRows; ++i)
#pragma unroll
    for (int j = 0; j < kEachOutputs; ++j) {
      const int64_t b = top + row + i, o = left + output + j;
      if (b < shape.rows && o < shape.outputs)
        out[b * shape.outputs + o] = from_float<T>(positive(sum[i][j] + bias[o]));
    }
}

}  // namespace plumbline
