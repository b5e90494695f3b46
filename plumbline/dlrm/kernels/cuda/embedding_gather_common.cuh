// The gather for common lengths D, which the compiler knows. Contract: embedding_gather.cuh.
//
// A warp processes 32 ids. Each lane looks one of them up: where its row is, and where the vector
// goes. Then groups of lanes move the vectors, 16 bytes a lane at most, several before the first is
// stored; the places come from the lane that looked them up. From one id to its next one a lane
// moves on by the same rows and columns, so it divides once.
#pragma once

#include "groups.cuh"

namespace plumbline {

constexpr int kGatherThreads = 128;
constexpr int kGatherResident = 7;  // minimum blocks per processor: leaves a thread 72 registers

// Items of a lane's pack: 16 bytes of the wider dtype.
template <typename W, typename T>
constexpr int kGatherItems = 16 / static_cast<int>(sizeof(W) > sizeof(T) ? sizeof(W) : sizeof(T));

template <typename W, typename T, int D>
constexpr int kGatherLanes = D / kGatherItems<W, T>;  // of a vector

// A lane's pack of the table, as the words that it is moved in.
template <typename W, typename T>
using GatherWords = std::conditional_t<kGatherItems<W, T> * sizeof(W) == 16, uint4, uint2>;

// Stores a pack, each item rounded to T.
template <typename W, typename T>
__device__ __forceinline__ void store_gathered(const Global<T> &out, int64_t first,
                                               const GatherWords<W, T> &words) {
  if constexpr (std::is_same_v<T, W>) {
    store_wide(out, first, words);
  } else {
    constexpr int kItems = kGatherItems<W, T>;
    Pack<W, kItems> from;
    memcpy(&from, &words, sizeof(from));
    Pack<T, kItems> to;
#pragma unroll
    for (int each = 0; each < kItems; each += 2) {
      const float one = to_float(from.items[each]), other = to_float(from.items[each + 1]);
      if constexpr (std::is_same_v<T, float>) {
        to.items[each] = one;
        to.items[each + 1] = other;
      } else {
        const Pack<T, 2> pair = rounded_pair<T>(one, other);
        to.items[each] = pair.items[0];
        to.items[each + 1] = pair.items[1];
      }
    }
    store_wide(out, first, to);
  }
}

template <typename W, typename T, int D>
__global__ void __launch_bounds__(kGatherThreads, kGatherResident)
    embedding_gather_common(Global<const W> weight, Global<const int64_t> ids,
                            Global<const int64_t> first_row, Global<const int64_t> cardinality,
                            Global<const int64_t> position, Global<T> out,
                            Global<long long> outside, int64_t count, int64_t columns,
                            int64_t vectors) {
  constexpr int kItems = kGatherItems<W, T>, kLanes = kGatherLanes<W, T, D>;
  constexpr int kAtOnce = kWarp / kLanes, kInFlight = kLanes < 4 ? kLanes : 4;
  constexpr unsigned kAll = ~0u;
  const int lane = threadIdx.x % kWarp, of_group = lane / kLanes;
  const int place = lane % kLanes * kItems;
  const int64_t step = int64_t(gridDim.x) * blockDim.x;
  const int64_t row_step = step / columns, column_step = step - row_step * columns;
  int64_t item = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  int64_t b = item / columns, column = item - b * columns;
  for (; item - lane < count; item += step) {
    constexpr int64_t kNone = -1;
    int64_t from = kNone, to = kNone;
    if (item < count) {
      const int64_t id = ids[item];
      if (id >= 0 && id < cardinality[column])
        from = (first_row[column] + id) * D;
      else
        atomicMin(&outside[0], static_cast<long long>(item));
      to = (b * vectors + position[column]) * D;
    }
#pragma unroll 1
    for (int first = 0; first < kLanes; first += kInFlight) {
      int64_t start[kInFlight];
      GatherWords<W, T> words[kInFlight];
#pragma unroll
      for (int each = 0; each < kInFlight; ++each)
        start[each] = __shfl_sync(kAll, from, (first + each) * kAtOnce + of_group);
#pragma unroll
      for (int each = 0; each < kInFlight; ++each) {
        words[each] = {};
        if (start[each] != kNone)
          words[each] = load_wide<GatherWords<W, T>>(weight, start[each] + place);
      }
#pragma unroll
      for (int each = 0; each < kInFlight; ++each)
        start[each] = __shfl_sync(kAll, to, (first + each) * kAtOnce + of_group);
#pragma unroll
      for (int each = 0; each < kInFlight; ++each)
        if (start[each] != kNone) store_gathered<W, T>(out, start[each] + place, words[each]);
    }
    b += row_step;
    column += column_step;
    if (column >= columns) {
      column -= columns;
      ++b;
    }
  }
}

}  // namespace plumbline
