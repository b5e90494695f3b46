// The interaction of common shapes, backward: the gradient of the vectors is S · V, where S is the
// symmetric matrix of the dots' gradients.
//
// S is read from the row of the gradient straight into the left factors, from places that do not
// change from row to row of the batch. The direct gradient of the dense vector is one more line of
// V, with the factor 1 in the dense vector's row of S. The results are laid out over V.
#pragma once

#include "interaction_mma.cuh"

namespace plumbline {

constexpr int kMostItems = 32;  // of each vector in the registers of a warp

// A stage, in items: the lines of the vectors; then what S has beside the dots' gradients; then
// these.
template <int D>
struct MmaBackwardMemory {
  static constexpr int kOne = 0;         // a 1 and then zeros: a column of S that begins with 1
  static constexpr int kZeros = 8;       // a row or column of zeros
  static constexpr int kConstants = 40;  // items
  int constants, dots, stage, items;

  __host__ __device__ explicit MmaBackwardMemory(const InteractionShape &shape)
      : constants(VectorLines<D>::items(shape)),
        dots(constants + kConstants),
        stage(dots + static_cast<int>(shape.width() - shape.first_dot())),
        items(kStages * stage) {}
};

// Where a lane's items of S are in a stage, by 8×8 block: lane 4 · g + t has (g, 2 · t) and (g, 2 ·
// t + 1).
template <int D>
struct SymmetricPlaces {
  int of_line[kBlocks];       // of (g, 2 · t), if the block is below the diagonal
  int of_column[kBlocks][2];  // of both in the first line of blocks, if the block is above
  int of_diagonal[kBlocks][2];

  __device__ SymmetricPlaces(const InteractionShape &shape, int lane) {
    using Memory = MmaBackwardMemory<D>;
    const Memory memory(shape);
    const int zeros = memory.constants + Memory::kZeros, one = memory.constants + Memory::kOne;
    const int vectors = shape.vectors(), direct = shape.has_dense ? vectors : -1;
    // First item of a vector's dots with those before it.
    const auto dots_of = [&](int vector) {
      if (vector == direct) return one;
      return vector < vectors ? memory.dots + static_cast<int>(index_of(vector, 0)) : zeros;
    };
#pragma unroll
    for (int block = 0; block < kBlocks; ++block) {
      const int i = block * kBlockSide + lane / 4;
      of_line[block] = (i < vectors ? dots_of(i) : zeros) + lane % 4 * 2;
#pragma unroll
      for (int each = 0; each < 2; ++each) {
        const int j = block * kBlockSide + lane % 4 * 2 + each;
        of_column[block][each] = dots_of(j) + lane / 4;
        of_diagonal[block][each] = zeros;
        if (i < j) of_diagonal[block][each] = dots_of(j) + i;
        if (j < i && i < vectors) of_diagonal[block][each] = dots_of(i) + j;
      }
    }
  }

  // The items of block (i, j), as a register of a left factor.
  template <typename T>
  __device__ uint32_t pair(const Shared<T> &stage, int i, int j) const {
    Pack<T, 2> items;
#pragma unroll
    for (int each = 0; each < 2; ++each)
      items.items[each] = stage[i > j   ? of_line[i] + j * kBlockSide + each
                                : i < j ? of_column[j][each] + i * kBlockSide
                                        : of_diagonal[i][each]];
    uint32_t both;
    memcpy(&both, &items, sizeof(both));
    return both;
  }
};

template <typename T, int D>
__global__ void __launch_bounds__(kMmaWarps *kWarp, kMmaResident)
    interaction_backward_mma(Global<const T> gradient, Global<const T> dense,
                             Global<const T> embeddings, Global<T> dense_gradient,
                             Global<T> embedding_gradient, InteractionShape shape) {
  if constexpr (kHasMma) {
    using Lines = VectorLines<D>;
    using Memory = MmaBackwardMemory<D>;
    const Memory memory(shape);
    const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
    const Shared<T> own = shared_array<T>(int64_t(warp) * memory.items * kHalfBytes, memory.items);
    const SymmetricPlaces<D> places(shape, lane);
    const int block_line[2] = {Lines::block_line(shape, 0, lane),
                               Lines::block_line(shape, kTile, lane)};
    const int line = lane / 4, column = lane % 4 * 2;
    const int first_pack = Lines::pack(shape.has_dense, lane);
    const int features = shape.features - lane / Lines::kPacks;
    const int direct_line = shape.vectors() * Lines::kStride;
    const int first_dot = static_cast<int>(shape.first_dot());
    const int dot_items = static_cast<int>(shape.width() - shape.first_dot());

    const RowsOfWarp rows(shape.rows);
    VectorCopies<T, D> copies(dense, embeddings, shape, rows, lane);
    RunningItem of_gradient(rows, first_dot + dot_items, lane), of_dense(rows, D, lane),
        of_embeddings(rows, shape.features * D, lane);
    const auto copy_next = [&](const Shared<T> &stage, bool is_row) {
      copies.next(stage, is_row, lane);
      const int64_t from = of_gradient.next();
      cp_async_16(stage, direct_line + lane * kPackItems, gradient, from,
                  is_row && lane * kPackItems < first_dot);
#pragma unroll
      for (int each = 0; each < 2; ++each) {
        const int item = (each * kWarp + lane) * kPackItems;
        cp_async_16(stage, memory.dots + item, gradient,
                    from + first_dot + each * kWarp * kPackItems, is_row && item < dot_items);
      }
      cp_async_commit();
    };

    fill_zero(own, memory.items, lane);
    __syncwarp();
    if (lane < kStages)
      own[lane * memory.stage + memory.constants + Memory::kOne] = from_float<T>(1.0f);
    copy_next(own, rows.count > 0);
    int stage = 0;
    for (int left = rows.count; left > 0; --left, stage = memory.stage - stage) {
      const Shared<T> vectors = own + stage;
      copy_next(own + (memory.stage - stage), left > 1);
      cp_async_wait<1>();
      __syncwarp();  // every lane's copies of this row have arrived

      uint32_t symmetric[2][2][4];
#pragma unroll
      for (int i = 0; i < kBlocks; ++i)
#pragma unroll
        for (int j = 0; j < kBlocks; ++j)
          symmetric[i / 2][j / 2][i % 2 + j % 2 * 2] = places.pair(vectors, i, j);
      constexpr int kPart = D < kMostItems ? D : kMostItems;
#pragma unroll
      for (int first = 0; first < D; first += kPart) {
        uint32_t factor[2][kPart / kTile][4];
#pragma unroll
        for (int k = 0; k < 2; ++k)
#pragma unroll
          for (int d = 0; d < kPart / kTile; ++d)
            ldmatrix_x4_trans(factor[k][d], vectors, block_line[k] + first + d * kTile);
        __syncwarp();  // the results below take the place of the vectors

#pragma unroll
        for (int d = 0; d < kPart / kBlockSide; ++d) {
#pragma unroll
          for (int i = 0; i < 2; ++i) {
            float sum[4] = {};
#pragma unroll
            for (int k = 0; k < 2; ++k) {
              const uint32_t *of_vectors = &factor[k][d / 2][d % 2 * 2];
              mma_m16n8k16<T>(sum, symmetric[i][k], of_vectors[0], of_vectors[1]);
            }
#pragma unroll
            for (int below = 0; below < 2; ++below) {
              const int vector = i * kTile + below * kBlockSide + line;
              if (vector < shape.vectors())
                store_wide(vectors, vector * Lines::kStride + first + d * kBlockSide + column,
                           rounded_pair<T>(sum[below * 2], sum[below * 2 + 1]));
            }
          }
        }
      }
      __syncwarp();  // the lanes below read results of other lanes

      const int64_t to_dense = of_dense.next(), to_embeddings = of_embeddings.next();
      if (lane * kPackItems < first_dot)
        store_wide(dense_gradient, to_dense, load_wide<HalfPack<T>>(vectors, lane * kPackItems));
#pragma unroll
      for (int each = 0; each < Lines::kMoves; ++each)
        if (each * Lines::kAtOnce < features)
          store_wide(embedding_gradient, to_embeddings + each * kWarp * kPackItems,
                     load_wide<HalfPack<T>>(vectors, first_pack + each * Lines::kMoveItems));
      __syncwarp();  // the next rows take the place of these
    }
  }
}

}  // namespace plumbline
