// What the interaction's kernels for common shapes share: one warp a row of the batch, at most 31
// vectors whose length D is known to the compiler, products by `mma.sync` with float32 sums.
//
// A warp's shared memory has two stages. While it works on a row in one stage, the next row is
// copied to the other. A stage has N + 1 lines of D + 8 items: the vectors, and one of zeros, which
// stands for those that pad N to 32. Lines are an odd multiple of 16 bytes apart, so the eight that
// `ldmatrix` reads at a time use different banks.
//
// The grid is as large as the device holds at a time, and its warps loop over the rows.
#pragma once

#include "interaction_halves.cuh"
#include "tensor_core.cuh"

namespace plumbline {

constexpr int kMmaWarps = 4;     // most per block
constexpr int kMmaResident = 4;  // minimum blocks per processor: leaves a thread 128 registers
constexpr int kMostMmaVectors = 31;
constexpr int kStages = 2;
constexpr int kBlocks = 4;  // of eight vectors each: the 8×8 matrices of tensor cores
constexpr int kBlockSide = 8;

// Whether the target architecture has these instructions; the host calls `has_mma`.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
constexpr bool kHasMma = false;
#else
constexpr bool kHasMma = true;
#endif

inline bool has_mma(const Device &device) { return device.compute_capability >= 80; }

// The lines of a row's vectors in a stage, and a lane's places in them.
template <int D>
struct VectorLines {
  static constexpr int kStride = D + kSkew;
  static constexpr int kPacks = D / kPackItems;         // of a vector
  static constexpr int kAtOnce = kWarp / kPacks;        // vectors that a warp moves at a time
  static constexpr int kMoves = kWarp / kAtOnce;        // for 32 vectors
  static constexpr int kMoveItems = kAtOnce * kStride;  // between a lane's packs
  static_assert(kPacks * kPackItems == D && kAtOnce * kPacks == kWarp);

  __host__ __device__ static int items(const InteractionShape &shape) {
    return (shape.vectors() + 1) * kStride;
  }

  // Item at which the lane's line of a 16×16 block starts, for `ldmatrix`: of the vectors from
  // `top` on, the first 16 items. Vectors past the last one are the line of zeros.
  __device__ static int block_line(const InteractionShape &shape, int top, int lane) {
    const int line = min(top + lane % kTile, shape.vectors());
    return line * kStride + lane / kTile * kPackItems;
  }

  // Item at which the lane's first pack is, of the vectors from `line` on.
  __device__ static int pack(int line, int lane) {
    return (line + lane / kPacks) * kStride + lane % kPacks * kPackItems;
  }
};

// The rows of the batch that a warp works on: every `step`th from `first` on.
struct RowsOfWarp {
  int64_t first, step;
  int count;  // no device has the memory for 2³¹ rows a warp

  __device__ explicit RowsOfWarp(int64_t rows)
      : first(int64_t(blockIdx.x) * (blockDim.x / kWarp) + threadIdx.x / kWarp),
        step(int64_t(gridDim.x) * (blockDim.x / kWarp)),
        count(static_cast<int>((rows - first + step - 1) / step)) {}
};

// A lane's place in an array with `items` numbers a row, which moves on from row to row.
struct RunningItem {
  int64_t at, step;

  __device__ RunningItem(const RowsOfWarp &rows, int items, int lane)
      : at(rows.first * items + lane * kPackItems), step(rows.step * items) {}
  __device__ int64_t next() {
    at += step;
    return at - step;
  }
};

// Copies of the warp's rows to its stages, one after the other.
template <typename T, int D>
class VectorCopies {
 public:
  __device__ VectorCopies(const Global<const T> &dense, const Global<const T> &embeddings,
                          const InteractionShape &shape, const RowsOfWarp &rows, int lane)
      : dense_(dense),
        embeddings_(embeddings),
        of_dense_(rows, D, lane),
        of_embeddings_(rows, shape.features * D, lane),
        has_dense_(shape.has_dense && lane < Lines::kPacks),
        features_(shape.features - lane / Lines::kPacks),
        to_(Lines::pack(shape.has_dense, lane)) {}

  // Begins to copy the next row, if there is one.
  __device__ void next(const Shared<T> &stage, bool is_row, int lane) {
    cp_async_16(stage, lane * kPackItems, dense_, of_dense_.next(), is_row && has_dense_);
    const int64_t from = of_embeddings_.next();
    const int features = is_row ? features_ : 0;
#pragma unroll
    for (int each = 0; each < Lines::kMoves; ++each)
      cp_async_16(stage, to_ + each * Lines::kMoveItems, embeddings_,
                  from + each * kWarp * kPackItems, each * Lines::kAtOnce < features);
  }

 private:
  using Lines = VectorLines<D>;
  Global<const T> dense_, embeddings_;
  RunningItem of_dense_, of_embeddings_;
  bool has_dense_;
  int features_;  // less those in front of the lane's first one
  int to_;
};

}  // namespace plumbline
