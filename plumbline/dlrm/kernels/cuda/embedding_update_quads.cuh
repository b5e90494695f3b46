// The sums and steps of embedding_update.cuh where a row is one quad a lane: D is 4 times a power
// of two, at most 128, and rows and gradients are aligned to whole quads. The results have the same
// bits.
//
// A warp processes a part. Each lane gets one occurrence of it, and the state of its row; a ballot
// tells where the rows start. Groups of lanes then take one row each, with the next row's numbers
// and first gradient under way.
#pragma once

#include "embedding_update.cuh"

namespace plumbline {

// A warp's part in shared memory.
struct PartMemory {
  static constexpr int kStarts = kPart + 4;
  static constexpr int kSources = kPart * 8, kShares = 2 * kSources;
  static constexpr int kStates = kShares + kPart * 4, kFirsts = kStates + kPart * 4;
  static constexpr int kBytes = kFirsts + kStarts * 4;

  Shared<int64_t> row, source;  // of each occurrence
  Shared<float> share, state;   // the state of a row is at its first occurrence
  Shared<int> start;            // first occurrence of each row, and the part's end

  __device__ explicit PartMemory(int warp)
      : row(shared_array<int64_t>(warp * kBytes, kPart)),
        source(shared_array<int64_t>(warp * kBytes + kSources, kPart)),
        share(shared_array<float>(warp * kBytes + kShares, kPart)),
        state(shared_array<float>(warp * kBytes + kStates, kPart)),
        start(shared_array<int>(warp * kBytes + kFirsts, kStarts)) {}
};

struct PartRows {
  int count;
  bool began_before, goes_on;  // the first row, and the last one

  // Whether all occurrences of the row are in the part.
  __device__ bool has_all_of(int number) const {
    return !(number == 0 && began_before) && !(number == count - 1 && goes_on);
  }
};

// Copies the part's occurrences to shared memory, one a lane.
__device__ __forceinline__ PartRows load_part(const Global<float> &state,
                                              const Global<const int64_t> &row,
                                              const Global<const int64_t> &source,
                                              const Global<const float> &share, bool has_state,
                                              bool has_share, int64_t begin, int64_t count,
                                              int lane, const PartMemory &memory) {
  constexpr unsigned kAll = ~0u;
  const int items = static_cast<int>(min(int64_t(kPart), count - begin));
  const int64_t of = row[begin + min(lane, items - 1)];
  const int64_t before = __shfl_sync(kAll, of, max(lane - 1, 0));
  const int64_t first = __shfl_sync(kAll, of, 0), last = __shfl_sync(kAll, of, kWarp - 1);
  const bool is_start = lane < items && (lane == 0 || of != before);
  const unsigned starts = __ballot_sync(kAll, is_start);
  const int rows = __popc(starts);
  if (lane < items) {
    memory.row[lane] = of;
    memory.source[lane] = source[begin + lane];
    memory.share[lane] = has_share ? share[begin + lane] : 1.0f;
  }
  if (is_start) {
    memory.start[__popc(starts & ((1u << lane) - 1))] = lane;
    memory.state[lane] = has_state ? state[of] : 0.0f;
  }
  if (lane == 0) memory.start[rows] = items;
  __syncwarp();  // the groups below read what other lanes stored
  return {rows, begin > 0 && row[begin - 1] == first,
          begin + items < count && row[begin + items] == last};
}

template <typename W, typename T>
__global__ void embedding_update_parts_quads(Global<W> weight, Global<float> state,
                                             Global<const int64_t> row,
                                             Global<const int64_t> source,
                                             Global<const float> share, Global<const T> gradient,
                                             Global<float> partial, bool has_state, bool has_share,
                                             UpdateShape shape, Step by) {
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp, warps = blockDim.x / kWarp;
  const int group = lane / shape.group, groups = kWarp / shape.group;
  const int d = lane % shape.group * kQuad, dim = static_cast<int>(shape.dim);
  const unsigned lanes = group_mask(shape.group, lane);
  const PartMemory memory(warp);
  const int64_t parts = (shape.count + kPart - 1) / kPart;
  for (int64_t part = int64_t(blockIdx.x) * warps + warp; part < parts;
       part += int64_t(gridDim.x) * warps) {
    const PartRows rows = load_part(state, row, source, share, has_state, has_share, part * kPart,
                                    shape.count, lane, memory);
    const auto gradient_of = [&](int occurrence) {
      const int64_t from = memory.source[occurrence] * dim;
      return load_quad<T>(gradient, from + d, from + dim, true);
    };
    const auto old_of = [&](int number) {
      const int64_t from = memory.row[memory.start[number]] * dim;
      return load_quad<W>(Global<const W>(weight), from + d, from + dim, true);
    };
    float4 next_gradient{}, next_old{};
    const auto load_ahead = [&](int number) {
      if (number >= rows.count) return;
      next_gradient = gradient_of(memory.start[number]);
      if (rows.has_all_of(number)) next_old = old_of(number);
    };
    load_ahead(group);
    for (int number = group; number < rows.count; number += groups) {
      const int first = memory.start[number], end = memory.start[number + 1];
      const float4 old = next_old;
      float4 sum = added(make_float4(0.0f, 0.0f, 0.0f, 0.0f), next_gradient, memory.share[first]);
      load_ahead(number + groups);
#pragma unroll 4
      for (int m = first + 1; m < end; ++m) sum = added(sum, gradient_of(m), memory.share[m]);
      if (!rows.has_all_of(number)) {
        const int slot = number == 0 && rows.began_before ? 0 : 1;
        store_wide(partial, (part * 2 + slot) * dim + d, sum);
        continue;
      }
      const int64_t of = memory.row[first];
      float rate = by.learning_rate;
      if (has_state) {
        const float mean = sum_over_group(squares_of(sum, by.scale), shape.group, lanes) /
                           static_cast<float>(shape.dim);
        const float total = memory.state[first] + mean;
        rate = by.learning_rate / (sqrtf(total) + by.eps);
        if (d == 0) state[of] = total;
      }
      store_wide(weight, of * dim + d, stepped<W>(old, sum, rate, of * dim + d, by));
    }
    __syncwarp();  // the next part takes the place of this one
  }
}

}  // namespace plumbline
