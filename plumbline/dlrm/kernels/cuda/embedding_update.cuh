// Sums the gradients of each row and steps the row.
//
// Contract (in full: plumbline/dlrm/ops/embedding/contract.py): `row` is ascending and within the
// table, which the host has checked. Rows without an occurrence are not touched. Sums are float32,
// and their order depends only on the batch, so the result is deterministic.
//
// Legend: M occurrences of rows in a batch, in ascending order of their row; B rows of the batch, V
// vectors of each, R rows of all tables, D embedding length.
//
// A group of lanes processes a part of 32 occurrences and sums the gradients of each row in it, in
// order. A row within one part is stepped at once. Sums of a row that spans parts are stored, at
// most two per part: of its first row and of its last row. A second kernel adds these up, part by
// part, and steps their rows. So a row with very many occurrences is summed by many groups. If it
// has more than 33 parts, the groups of a block add up its sums, in a third kernel.
#pragma once

#include "groups.cuh"

namespace plumbline {

constexpr int kPart = 32;  // occurrences
constexpr int kLong = 32;  // parts

struct UpdateShape {
  int64_t count, dim;
  int group;  // lanes that share a row
  bool wide_weight, wide_gradient;
};

struct Step {
  float learning_rate, eps, scale;
  uint32_t k0, k1;
};

// The random bits of an element of the buffer, as `random_bits` in
// plumbline/dlrm/ops/random_bits.py.
__device__ __forceinline__ uint32_t random_bits(uint64_t element, uint32_t k0, uint32_t k1) {
  uint32_t bits = static_cast<uint32_t>(element) ^ k0;
  bits += static_cast<uint32_t>(element >> 32) * 0x9E3779B9u;
  bits = (bits ^ (bits >> 16)) * 0x7FEB352Du;
  bits = (bits ^ (bits >> 15)) * 0x846CA68Bu;
  return (bits ^ (bits >> 16)) ^ k1;
}

template <typename W>
__device__ __forceinline__ W stored(float number, int64_t, const Step &) {
  static_assert(std::is_same_v<W, float>);
  return number;
}

template <>
__device__ __forceinline__ bfloat16 stored<bfloat16>(float number, int64_t element,
                                                     const Step &step) {
  const uint32_t bits = __float_as_uint(number);
  if ((bits & 0x7f800000u) == 0x7f800000u) return __float2bfloat16_rn(number);  // not finite
  const uint32_t random = random_bits(static_cast<uint64_t>(element), step.k0, step.k1) >> 16;
  return __ushort_as_bfloat16(static_cast<unsigned short>((bits + random) >> 16));
}

// Mask of the lanes of a lane's group.
__device__ __forceinline__ unsigned group_mask(int group, int lane) {
  return (group == kWarp ? ~0u : (1u << group) - 1) << (lane / group * group);
}

// Adds the values of a group's lanes; every lane gets the same bits.
__device__ __forceinline__ float sum_over_group(float value, int group, unsigned lanes) {
  for (int apart = group / 2; apart > 0; apart /= 2) value += __shfl_xor_sync(lanes, value, apart);
  return value;
}

__device__ __forceinline__ float squares_of(float4 sum, float scale) {
  float squares = 0.0f;
  for (const float each : {sum.x, sum.y, sum.z, sum.w}) squares += (scale * each) * (scale * each);
  return squares;
}

// A quad after its step; `element` is the index of its first number in the buffer.
template <typename W>
__device__ __forceinline__ Pack<W, kQuad> stepped(float4 old, float4 sum, float rate,
                                                  int64_t element, const Step &by) {
  return {stored<W>(old.x - rate * (by.scale * sum.x), element, by),
          stored<W>(old.y - rate * (by.scale * sum.y), element + 1, by),
          stored<W>(old.z - rate * (by.scale * sum.z), element + 2, by),
          stored<W>(old.w - rate * (by.scale * sum.w), element + 3, by)};
}

// A group's sum of one row, in shared memory; each lane accesses only its own quads.
struct RowSum {
  Shared<float> numbers;
  UpdateShape shape;
  int lane;
  unsigned lanes;  // mask of the group's lanes in its warp

  __device__ RowSum(const UpdateShape &update, const GroupPlace &here)
      : numbers(shared_array<float>(
            threadIdx.x / update.group * rounded_up(update.dim, kQuad) * sizeof(float),
            rounded_up(update.dim, kQuad))),
        shape(update),
        lane(here.lane),
        lanes(group_mask(update.group, static_cast<int>(threadIdx.x % kWarp))) {}

  template <typename W>
  __device__ void step(const Global<W> &weight, const Global<float> &state, bool has_state,
                       int64_t row, const Step &by) const {
    float rate = by.learning_rate;
    if (has_state) {
      float squares = 0.0f;
      for (int64_t d = lane * kQuad; d < shape.dim; d += shape.group * kQuad)
        squares += squares_of(load_wide<float4>(numbers, d), by.scale);
      const float mean =
          sum_over_group(squares, shape.group, lanes) / static_cast<float>(shape.dim);
      const float total = state[row] + mean;
      rate = by.learning_rate / (sqrtf(total) + by.eps);
      __syncwarp(lanes);  // all lanes have read the state
      if (lane == 0) state[row] = total;
    }
    const int64_t first = row * shape.dim, end = first + shape.dim;
    for (int64_t d = lane * kQuad; d < shape.dim; d += shape.group * kQuad) {
      const float4 sum = load_wide<float4>(numbers, d);
      const float4 old = load_quad<W>(weight, first + d, end, shape.wide_weight);
      store_quad<W>(weight, first + d, end, shape.wide_weight,
                    stepped<W>(old, sum, rate, first + d, by));
    }
  }
};

__device__ __forceinline__ float4 added(float4 sum, float4 more, float times) {
  return make_float4(sum.x + times * more.x, sum.y + times * more.y, sum.z + times * more.z,
                     sum.w + times * more.w);
}

// `partial` is (parts, 2, D padded to quads): the sums of a part's first row if it began earlier,
// and of its last row if it continues.
template <typename W, typename T>
__global__ void embedding_update_parts(Global<W> weight, Global<float> state,
                                       Global<const int64_t> row, Global<const int64_t> source,
                                       Global<const float> share, Global<const T> gradient,
                                       Global<float> partial, bool has_state, bool has_share,
                                       UpdateShape shape, Step by) {
  const GroupPlace here(shape.group);
  const RowSum sum(shape, here);
  const int64_t parts = (shape.count + kPart - 1) / kPart, padded = rounded_up(shape.dim, kQuad);
  for (int64_t part = here.group; part < parts; part += here.groups) {
    const int64_t begin = part * kPart, end = min(begin + kPart, shape.count);
    for (int64_t first = begin, next; first < end; first = next) {
      const int64_t of = row[first];
      for (next = first + 1; next < end && row[next] == of;) ++next;
      const bool began_before = first == begin && first > 0 && row[first - 1] == of;
      const bool goes_on = next == end && end < shape.count && row[end] == of;
      const int64_t slot = (part * 2 + (began_before ? 0 : 1)) * padded;
      for (int64_t d = here.lane * kQuad; d < shape.dim; d += shape.group * kQuad) {
        float4 total = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
#pragma unroll 4
        for (int64_t m = first; m < next; ++m) {
          const int64_t from = source[m] * shape.dim;
          total =
              added(total, load_quad<T>(gradient, from + d, from + shape.dim, shape.wide_gradient),
                    has_share ? share[m] : 1.0f);
        }
        if (began_before || goes_on)
          store_wide(partial, slot + d, total);
        else
          store_wide(sum.numbers, d, total);
      }
      if (!began_before && !goes_on) sum.step<W>(weight, state, has_state, of, by);
    }
  }
}

// End of the occurrences of row `of`, which includes occurrence `begin - 1`.
__device__ __forceinline__ int64_t end_of(const Global<const int64_t> &row, int64_t of,
                                          int64_t begin, int64_t count) {
  int64_t end = count;
  while (begin < end) {
    const int64_t middle = begin + (end - begin) / 2;
    if (row[middle] == of)
      begin = middle + 1;
    else
      end = middle;
  }
  return end;
}

// Whether a row begins in the part and continues in the next one.
__device__ __forceinline__ bool span_begins(const Global<const int64_t> &row, int64_t part) {
  const int64_t begin = part * kPart, end = begin + kPart, of = row[end - 1];
  const bool began_before = begin > 0 && row[begin] == of && row[begin - 1] == of;
  return !began_before && row[end] == of;
}

// Each group processes a part: the row, if any, that begins in it and continues in the next part,
// but not in more than `kLong` of them.
template <typename W>
__global__ void embedding_update_spans(Global<W> weight, Global<float> state,
                                       Global<const int64_t> row, Global<const float> partial,
                                       bool has_state, UpdateShape shape, Step by) {
  const GroupPlace here(shape.group);
  const RowSum sum(shape, here);
  const int64_t parts = (shape.count + kPart - 1) / kPart, padded = rounded_up(shape.dim, kQuad);
  for (int64_t part = here.group; part + 1 < parts; part += here.groups) {
    if (!span_begins(row, part)) continue;
    const int64_t end = (part + 1) * kPart, of = row[end - 1];
    const int64_t last = (end_of(row, of, end, shape.count) - 1) / kPart;
    if (last - part > kLong) continue;
    for (int64_t d = here.lane * kQuad; d < shape.dim; d += shape.group * kQuad) {
      float4 total = load_wide<float4>(partial, (part * 2 + 1) * padded + d);
#pragma unroll 8
      for (int64_t each = part + 1; each <= last; ++each)
        total = added(total, load_wide<float4>(partial, each * 2 * padded + d), 1.0f);
      store_wide(sum.numbers, d, total);
    }
    sum.step<W>(weight, state, has_state, of, by);
  }
}

// The rows that continue in more than `kLong` parts, of which at most one begins in any `kLong`
// parts. A block sums such a row: each group every groupth part, then groups in pairs.
template <typename W>
__global__ void embedding_update_long_spans(Global<W> weight, Global<float> state,
                                            Global<const int64_t> row, Global<const float> partial,
                                            bool has_state, UpdateShape shape, Step by) {
  static_assert(kLong == kWarp);  // a lane looks at one of them
  const GroupPlace here(shape.group);
  const RowSum sum(shape, here);
  const int groups = blockDim.x / shape.group, group = threadIdx.x / shape.group;
  const int64_t parts = (shape.count + kPart - 1) / kPart, padded = rounded_up(shape.dim, kQuad);
  const Shared<float> sums = shared_array<float>(0, groups * padded);
  for (int64_t section = blockIdx.x; section * kLong < parts; section += gridDim.x) {
    const int64_t own = section * kLong + threadIdx.x % kWarp, beyond = own + kLong + 1;
    const bool is_long =
        beyond < parts && span_begins(row, own) && row[beyond * kPart] == row[(own + 1) * kPart];
    const unsigned found = __ballot_sync(~0u, is_long);
    if (found == 0) continue;  // in every warp of the block
    const int64_t part = section * kLong + __ffs(found) - 1, end = (part + 1) * kPart;
    const int64_t of = row[end], last = (end_of(row, of, end, shape.count) - 1) / kPart;
    for (int64_t d = here.lane * kQuad; d < shape.dim; d += shape.group * kQuad) {
      float4 total = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
      if (group == 0) total = load_wide<float4>(partial, (part * 2 + 1) * padded + d);
#pragma unroll 8
      for (int64_t at = part + 1 + group; at <= last; at += groups)
        total = added(total, load_wide<float4>(partial, at * 2 * padded + d), 1.0f);
      store_wide(sum.numbers, d, total);
    }
    for (int apart = groups / 2; apart > 0; apart /= 2) {
      __syncthreads();  // the groups' sums so far
      if (group >= apart) continue;
      for (int64_t d = here.lane * kQuad; d < shape.dim; d += shape.group * kQuad)
        store_wide(sum.numbers, d,
                   added(load_wide<float4>(sum.numbers, d),
                         load_wide<float4>(sums, (group + apart) * padded + d), 1.0f));
    }
    if (group == 0) sum.step<W>(weight, state, has_state, of, by);
    __syncthreads();  // the next row takes the place of this one
  }
}

}  // namespace plumbline
