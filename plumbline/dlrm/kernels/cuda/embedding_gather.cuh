// Gathers rows of the embedding tables to the vectors of a batch.
//
// Contract (in full: plumbline/dlrm/ops/embedding/contract.py): an id outside its table gives
// zeros, or is left out of its list, and is reported in `outside`; no memory outside the table is
// read. Single ids are exact up to the conversion of the dtype; lists are summed in float32, in
// order. The result is deterministic.
//
// Legend: B rows, F columns with one id a row, V vectors of a row, N ids of a list column, R rows
// of all tables, D embedding length.
//
// A group of lanes processes one vector.
#pragma once

#include "groups.cuh"

namespace plumbline {

// Layout of the vectors in `weight` and in `out`, for gather and pool.
struct VectorShape {
  int64_t dim, vectors;
  int group;  // lanes that share a vector
  bool wide_weight, wide_out;
};

template <typename W, typename T>
__global__ void embedding_gather(Global<const W> weight, Global<const int64_t> ids,
                                 Global<const int64_t> first_row, Global<const int64_t> cardinality,
                                 Global<const int64_t> position, Global<T> out,
                                 Global<long long> outside, int64_t count, int64_t columns,
                                 VectorShape shape) {
  const GroupPlace here(shape.group);
  for (int64_t item = here.group; item < count; item += here.groups) {
    const int64_t b = item / columns, column = item - b * columns;
    const int64_t id = ids[item];
    const bool is_inside = id >= 0 && id < cardinality[column];
    if (!is_inside && here.lane == 0) atomicMin(&outside[0], static_cast<long long>(item));
    const int64_t from = (first_row[column] + id) * shape.dim;
    const int64_t to = (b * shape.vectors + position[column]) * shape.dim;
    for (int64_t d = here.lane * kQuad; d < shape.dim; d += shape.group * kQuad) {
      const float4 numbers =
          is_inside ? load_quad<W>(weight, from + d, from + shape.dim, shape.wide_weight)
                    : make_float4(0.0f, 0.0f, 0.0f, 0.0f);
      store_quad<T>(out, to + d, to + shape.dim, shape.wide_out, rounded<T>(numbers));
    }
  }
}

// One list column. `outside[0]` is the smallest index of an id outside the table, `outside[1]` the
// smallest row whose offsets do not rise from 0 to `count`; such a list is read only within `ids`.
template <typename W, typename T>
__global__ void embedding_pool(Global<const W> weight, Global<const int64_t> ids,
                               Global<const int64_t> offsets, Global<T> out,
                               Global<long long> outside, int64_t rows, int64_t count,
                               int64_t first_row, int64_t cardinality, int64_t position, bool mean,
                               VectorShape shape) {
  const GroupPlace here(shape.group);
  for (int64_t b = here.group; b < rows; b += here.groups) {
    const int64_t begin = offsets[b], end = offsets[b + 1];
    const bool rises = begin >= 0 && begin <= end && end <= count && (b > 0 || begin == 0) &&
                       (b + 1 < rows || end == count);
    if (!rises && here.lane == 0) atomicMin(&outside[1], static_cast<long long>(b));
    const float share = mean && end > begin ? 1.0f / static_cast<float>(end - begin) : 1.0f;
    const int64_t to = (b * shape.vectors + position) * shape.dim;
    for (int64_t d = here.lane * kQuad; d < shape.dim; d += shape.group * kQuad) {
      float4 sum = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
      for (int64_t n = begin; rises && n < end; ++n) {
        const int64_t id = ids[n];
        if (id < 0 || id >= cardinality) {
          if (d == 0) atomicMin(&outside[0], static_cast<long long>(n));
          continue;
        }
        const int64_t from = (first_row + id) * shape.dim;
        const float4 numbers = load_quad<W>(weight, from + d, from + shape.dim, shape.wide_weight);
        sum =
            make_float4(sum.x + numbers.x, sum.y + numbers.y, sum.z + numbers.z, sum.w + numbers.w);
      }
      sum = make_float4(sum.x * share, sum.y * share, sum.z * share, sum.w * share);
      store_quad<T>(out, to + d, to + shape.dim, shape.wide_out, rounded<T>(sum));
    }
  }
}

}  // namespace plumbline
