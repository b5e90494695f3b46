// Look-ups of single ids and of lists. Only for loops, see instruction_set.h.
#pragma once

#include <cstdint>

#include "embedding_loops.h"
#include "embedding_row.h"

namespace plumbline {
namespace {

template <typename Row, typename Out>
int64_t gather_as(const Rows &rows, const Singles &singles, const Result &result, int64_t begin,
                  int64_t end) {
  const auto *weight = static_cast<const Row *>(rows.weight);
  auto *out = static_cast<Out *>(result.out);
  const int64_t dim = rows.dim, vectors = result.vectors;
  const int64_t columns = singles.columns;
  const int64_t *ids = singles.ids, *position = singles.position;
  const int64_t *first_row = singles.first_row, *cardinality = singles.cardinality;
  const bool streamed = result.streamed && can_be_streamed(out, dim);
  const Row *asked[kAhead];
  int64_t column = begin % columns, asked_column = column, row = begin / columns;
  for (int64_t next = begin; next < end + kAhead; ++next) {
    const int64_t index = next - kAhead;
    if (index >= begin) {
      Out *to = out + (row * vectors + position[column]) * dim;
      if (streamed)
        stream(asked[index & (kAhead - 1)], to, dim);
      else
        convert(asked[index & (kAhead - 1)], to, dim);
      if (++column == columns) column = 0, ++row;
    }
    if (next < end) {
      const int64_t id = ids[next];
      if (id < 0 || id >= cardinality[asked_column]) return next;
      const Row *from = weight + (first_row[asked_column] + id) * dim;
      prefetch(from, dim * static_cast<int64_t>(sizeof(Row)));
      asked[next & (kAhead - 1)] = from;
      if (++asked_column == columns) asked_column = 0;
    }
  }
  if (streamed) finish_streaming();
  return -1;
}

// Element by element; a number that is not one stays.
inline Floats maximum(Floats best, Floats other) {
  return (other > best) | (other != other) ? other : best;
}

template <typename Row, typename Out>
int64_t pool_as(const Rows &rows, const Bag &bag, Pooling pooling, const Result &result,
                int64_t begin, int64_t end, float *sum) {
  const auto *weight = static_cast<const Row *>(rows.weight) + bag.first_row * rows.dim;
  auto *out = static_cast<Out *>(result.out);
  const int64_t dim = rows.dim, last = bag.offsets[end];
  const bool weighted = pooling == Pooling::position_weighted;
  int64_t asked = bag.offsets[begin];
  for (int64_t list = begin; list < end; ++list) {
    const int64_t from = bag.offsets[list], to = bag.offsets[list + 1];
    for (int64_t d = 0; d < dim; d += kLanes) store(sum + d, Floats{});
    for (int64_t position = from; position < to; ++position) {
      const bool takes_maximum = pooling == Pooling::max && position > from;
      for (; asked < last && asked <= position + kAhead; ++asked) {
        const int64_t id = bag.ids[asked];
        if (id < 0 || id >= bag.cardinality) return asked;
        prefetch(weight + id * dim, dim * static_cast<int64_t>(sizeof(Row)));
      }
      const Row *row = weight + bag.ids[position] * dim;
      const float factor = weighted ? bag.weight_of(position - from) : 1.0f;
      for (int64_t d = 0; d < dim; d += kLanes) {
        const Floats before = load(sum + d), next = load(row + d, dim - d) * factor;
        store(sum + d, takes_maximum ? maximum(before, next) : before + next);
      }
    }
    const bool is_mean = pooling == Pooling::mean && to > from;
    const float share = is_mean ? 1.0f / static_cast<float>(to - from) : 1.0f;
    Out *pooled = out + (list * result.vectors + bag.position) * dim;
    for (int64_t d = 0; d < dim; d += kLanes)
      store(pooled + d, load(sum + d) * share, dim - d);
  }
  return -1;
}

}  // namespace
}  // namespace plumbline
