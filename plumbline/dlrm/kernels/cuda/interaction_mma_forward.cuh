// The interaction of common shapes, forward.
//
// Each 16×16 block of vectors is loaded once and serves as both factors of its products. The dots
// are laid out in shared memory as they are in the result: lane 4 · g + t has rows g, g + 8, g +
// 16, g + 24 of them, and where these start does not change from row to row of the batch.
#pragma once

#include "interaction_mma.cuh"

namespace plumbline {

// A warp's shared memory, in items: two stages, and the dots of a row.
template <int D>
struct MmaForwardMemory {
  static constexpr int kDots = 504;  // of 32 vectors, and the padding
  int stage, dots, items;

  __host__ __device__ explicit MmaForwardMemory(const InteractionShape &shape)
      : stage(VectorLines<D>::items(shape)), dots(kStages * stage), items(dots + kDots) {}
};

template <typename T, int D>
__global__ void __launch_bounds__(kMmaWarps *kWarp, kMmaResident)
    interaction_forward_mma(Global<const T> dense, Global<const T> embeddings, Global<T> out,
                            InteractionShape shape) {
  if constexpr (kHasMma) {
    using Lines = VectorLines<D>;
    const MmaForwardMemory<D> memory(shape);
    const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
    const Shared<T> own = shared_array<T>(int64_t(warp) * memory.items * kHalfBytes, memory.items);
    const Shared<T> dots = own + memory.dots;
    const int first_dot = static_cast<int>(shape.first_dot());
    const int dot_items = static_cast<int>(shape.width() - shape.first_dot());
    const int upper_line = Lines::block_line(shape, 0, lane);
    const int lower_line = Lines::block_line(shape, kTile, lane);

    // Dots of vectors past the last one go behind the padding, which stays zero.
    const int line = lane / 4, column = lane % 4 * 2;
    const int padding = static_cast<int>(shape.width() - shape.first_zero());
    int start[kBlocks];
#pragma unroll
    for (int block = 0; block < kBlocks; ++block) {
      const int i = block * kBlockSide + line;
      start[block] = static_cast<int>(index_of(i, column)) + (i < shape.vectors() ? 0 : padding);
    }

    const RowsOfWarp rows(shape.rows);
    VectorCopies<T, D> copies(dense, embeddings, shape, rows, lane);
    RunningItem of_out(rows, first_dot + dot_items, lane);
    fill_zero(own, memory.items, lane);
    __syncwarp();
    copies.next(own, rows.count > 0, lane);
    cp_async_commit();
    int stage = 0;
    for (int left = rows.count; left > 0; --left, stage = memory.stage - stage) {
      const Shared<T> vectors = own + stage;
      copies.next(own + (memory.stage - stage), left > 1, lane);
      cp_async_commit();
      cp_async_wait<1>();
      __syncwarp();  // every lane's copies of this row have arrived

      float sum[3][2][4] = {};  // 16×16 blocks (0, 0), (1, 0) and (1, 1), eight columns at a time
#pragma unroll
      for (int k = 0; k < D; k += kTile) {
        uint32_t upper[4], lower[4];
        ldmatrix_x4(upper, vectors, upper_line + k);
        ldmatrix_x4(lower, vectors, lower_line + k);
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          mma_m16n8k16<T>(sum[0][half], upper, upper[half], upper[half + 2]);
          mma_m16n8k16<T>(sum[1][half], lower, upper[half], upper[half + 2]);
          mma_m16n8k16<T>(sum[2][half], lower, lower[half], lower[half + 2]);
        }
      }
#pragma unroll
      for (int i = 0; i < kBlocks; ++i) {
#pragma unroll
        for (int j = 0; j <= i; ++j) {
          const float *of_block = &sum[i / 2 + j / 2][j % 2][i % 2 * 2];
          const Pack<T, 2> pair = rounded_pair<T>(of_block[0], of_block[1]);
          if (j < i || column < line) dots[start[i] + j * kBlockSide] = pair.items[0];
          if (j < i || column + 1 < line) dots[start[i] + j * kBlockSide + 1] = pair.items[1];
        }
      }
      __syncwarp();  // the lanes below read dots of other lanes

      const int64_t to = of_out.next();
      if (lane * kPackItems < first_dot)
        store_wide(out, to, load_wide<HalfPack<T>>(vectors, lane * kPackItems));
#pragma unroll
      for (int each = 0; each < 2; ++each) {
        const int item = (each * kWarp + lane) * kPackItems;
        if (item < dot_items)
          store_wide(out, to + first_dot + each * kWarp * kPackItems,
                     load_wide<HalfPack<T>>(dots, item));
      }
      __syncwarp();  // the next rows take the place of these
    }
  }
}

}  // namespace plumbline
