// A layer of the MLPs on tensor cores: bfloat16 on sm_80 and newer, products by `mma.sync` with float32
// sums. The contract is that of layers.cuh; a sum is added in blocks of 16 inputs, in ascending order.
//
// Rows of the batch and rows of the weights lie in shared memory in lines of a part of the inputs. Lines
// are an odd multiple of 16 bytes apart, so the eight that `ldmatrix` reads at a time use different
// banks. There are three stages: while one part is multiplied, the next two are on their way.
#pragma once

#include "interaction_mma.cuh"
#include "layers.cuh"

namespace plumbline {

constexpr int kLayerStages = 3;

// Many rows: four warps with 32×32 results each.
struct SquareMmaTile {
  static constexpr int kRowWarps = 2, kOutputWarps = 2;
  static constexpr int kRowBlocks = 2, kOutputBlocks = 2;  // of 16, of a warp
  static constexpr int kDepth = 32;
};

// At most 16 rows: many blocks.
struct FlatMmaTile {
  static constexpr int kRowWarps = 1, kOutputWarps = 2;
  static constexpr int kRowBlocks = 1, kOutputBlocks = 1;
  static constexpr int kDepth = 64;
};

template <typename Tile>
struct MmaLayerPlaces {
  static constexpr int kThreads = Tile::kRowWarps * Tile::kOutputWarps * kWarp;
  static constexpr int kWarpRows = Tile::kRowBlocks * kTile;
  static constexpr int kWarpOutputs = Tile::kOutputBlocks * kTile;
  static constexpr int kRows = Tile::kRowWarps * kWarpRows;
  static constexpr int kOutputs = Tile::kOutputWarps * kWarpOutputs;
  static constexpr int kStride = Tile::kDepth + kSkew;
  static constexpr int kStageItems = (kRows + kOutputs) * kStride;
  static constexpr int kItems = kLayerStages * kStageItems;
  static constexpr int kBytes = kItems * kHalfBytes;
};

// Begins to copy a part of `Lines` lines to shared memory; zeros past the last line or item.
template <typename T, int Lines, int Depth, int Threads>
__device__ __forceinline__ void copy_lines(const Shared<T> &to, const Global<const T> &from,
                                           int64_t first, int64_t lines, int64_t items,
                                           int64_t begin) {
  constexpr int kOfLine = Depth / kPackItems;
  static_assert(Lines * kOfLine % Threads == 0);
#pragma unroll
  for (int each = 0; each < Lines * kOfLine / Threads; ++each) {
    const int pack = int(threadIdx.x) + each * Threads;
    const int line = pack / kOfLine, item = pack % kOfLine * kPackItems;
    const int place = line * (Depth + kSkew) + item;
    const bool is_there = first + line < lines && begin + item < items;
    cp_async_16(to, place, from, (first + line) * items + begin + item, is_there);
    if (!is_there) store_wide(to, place, HalfPack<T>{});
  }
}

template <typename T, typename Tile>
__global__ void __launch_bounds__(MmaLayerPlaces<Tile>::kThreads)
    linear_relu_mma(Global<const T> in, Global<const T> weight, Global<const float> bias,
                    Global<T> out, LayerShape shape) {
  if constexpr (kHasMma) {
    using Places = MmaLayerPlaces<Tile>;
    constexpr int kRowBlocks = Tile::kRowBlocks, kOutputBlocks = Tile::kOutputBlocks;
    const Shared<T> memory = shared_array<T>(0, Places::kItems);
    const int warp = int(threadIdx.x) / kWarp, lane = int(threadIdx.x) % kWarp;
    const int row = warp / Tile::kOutputWarps * Places::kWarpRows;
    const int output = warp % Tile::kOutputWarps * Places::kWarpOutputs;
    const int64_t top = int64_t(blockIdx.y) * Places::kRows;
    const int64_t left = int64_t(blockIdx.x) * Places::kOutputs;
    const int64_t parts = (shape.inputs + Tile::kDepth - 1) / Tile::kDepth;
    // The lane's line of a 16×16 block, for `ldmatrix`.
    const int line = lane % kTile * Places::kStride + lane / kTile * kPackItems;
    const int row_line = row * Places::kStride + line;
    const int output_line = (Places::kRows + output) * Places::kStride + line;

    const auto copy = [&](int64_t part) {
      if (part < parts) {
        const Shared<T> stage = memory + int(part % kLayerStages) * Places::kStageItems;
        copy_lines<T, Places::kRows, Tile::kDepth, Places::kThreads>(
            stage, in, top, shape.rows, shape.inputs, part * Tile::kDepth);
        copy_lines<T, Places::kOutputs, Tile::kDepth, Places::kThreads>(
            stage + Places::kRows * Places::kStride, weight, left, shape.outputs, shape.inputs,
            part * Tile::kDepth);
      }
      cp_async_commit();
    };

    float sum[kRowBlocks][2 * kOutputBlocks][4] = {};
#pragma unroll
    for (int part = 0; part < kLayerStages - 1; ++part) copy(part);
    for (int64_t part = 0; part < parts; ++part) {
      cp_async_wait<kLayerStages - 2>();
      __syncthreads();  // the part is there for everybody, and the one before is read
      copy(part + kLayerStages - 1);
      const Shared<T> stage = memory + int(part % kLayerStages) * Places::kStageItems;
#pragma unroll
      for (int k = 0; k < Tile::kDepth; k += kTile) {
        uint32_t x[kRowBlocks][4], w[kOutputBlocks][4];
#pragma unroll
        for (int i = 0; i < kRowBlocks; ++i)
          ldmatrix_x4(x[i], stage, row_line + i * kTile * Places::kStride + k);
#pragma unroll
        for (int j = 0; j < kOutputBlocks; ++j)
          ldmatrix_x4(w[j], stage, output_line + j * kTile * Places::kStride + k);
#pragma unroll
        for (int i = 0; i < kRowBlocks; ++i)
#pragma unroll
          for (int j = 0; j < kOutputBlocks; ++j)
#pragma unroll
            for (int half = 0; half < 2; ++half)
              mma_m16n8k16<T>(sum[i][2 * j + half], x[i], w[j][half], w[j][half + 2]);
      }
    }

    // Lane 4 · g + t has (g, 2 · t), (g, 2 · t + 1), and those eight rows below, of 16×8 results.
    const bool in_pairs = shape.outputs % 2 == 0;
#pragma unroll
    for (int i = 0; i < kRowBlocks; ++i)
#pragma unroll
      for (int j = 0; j < 2 * kOutputBlocks; ++j)
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const int64_t b = top + row + i * kTile + half * kBlockSide + lane / 4;
          const int64_t o = left + output + j * kBlockSide + lane % 4 * 2;
          if (b >= shape.rows || o >= shape.outputs) continue;
          const bool is_pair = o + 1 < shape.outputs;
          const float *of_row = &sum[i][j][2 * half];
          const Pack<T, 2> pair =
              rounded_pair<T>(positive(of_row[0] + bias[o]),
                              positive(of_row[1] + (is_pair ? bias[o + 1] : 0.0f)));
          const int64_t to = b * shape.outputs + o;
          if (in_pairs) {
            store_wide(out, to, pair);
          } else {
            out[to] = pair.items[0];
            if (is_pair) out[to + 1] = pair.items[1];
          }
        }
  }
}

}  // namespace plumbline
