#include "scoring_int8_loops.h"

#include "embedding_row.h"
#include "scoring_amx.h"
#include "scoring_first_layer.h"
#include "scoring_int8_tiles.h"
#include "scoring_logits.h"
#include "scoring_quantize.h"

// CMake compiles this file without fused products, which would round differently.

namespace plumbline {
namespace {

void quantize(const float *from, int64_t from_stride, int64_t width, const Int8Rows &to,
              int64_t rows) {
  for (int64_t row = 0; row < rows; ++row)
    to.scale[row] = quantize_row(from + row * from_stride, width, to.numbers + row * to.stride,
                                 to.stride);
}

void prefetch_row(const Int8Tables &tables, int64_t row) {
  prefetch(tables.weight + row * tables.dim, tables.dim);
  prefetch(tables.scale + row, sizeof(float));
}

// Ids are checked before their rows are prefetched, kAhead ids before these are used.
int64_t gather(const Int8Tables &tables, const Singles &singles, const Int8Vectors &out) {
  const int64_t columns = singles.columns, end = singles.rows * columns, dim = tables.dim;
  int64_t asked[kAhead];
  for (int64_t next = 0; next < end + kAhead; ++next) {
    const int64_t index = next - kAhead;
    if (index >= 0) {
      const int64_t vector = index / columns * out.vectors + out.first +
                             singles.position[index % columns];
      const int64_t row = asked[index % kAhead];
      int8_t *to = out.rows.numbers + vector * out.rows.stride;
      std::memcpy(to, tables.weight + row * dim, static_cast<size_t>(dim));
      std::memset(to + dim, 0, static_cast<size_t>(out.rows.stride - dim));
      out.rows.scale[vector] = tables.scale[row];
    }
    if (next < end) {
      const int64_t id = singles.ids[next], column = next % columns;
      if (id < 0 || id >= singles.cardinality[column]) return next;
      asked[next % kAhead] = singles.first_row[column] + id;
      prefetch_row(tables, asked[next % kAhead]);
    }
  }
  return -1;
}

int64_t pool(const Int8Tables &tables, const Bag &bag, Pooling pooling, const Int8Vectors &out,
             float *sum) {
  const int64_t dim = tables.dim, last = bag.offsets[bag.rows];
  int64_t asked = bag.offsets[0];
  for (int64_t list = 0; list < bag.rows; ++list) {
    const int64_t from = bag.offsets[list], to = bag.offsets[list + 1];
    std::memset(sum, 0, static_cast<size_t>(dim) * sizeof(float));
    for (int64_t position = from; position < to; ++position) {
      for (; asked < last && asked <= position + kAhead; ++asked) {
        const int64_t id = bag.ids[asked];
        if (id < 0 || id >= bag.cardinality) return asked;
        prefetch_row(tables, bag.first_row + id);
      }
      const int64_t row = bag.first_row + bag.ids[position];
      const int8_t *numbers = tables.weight + row * dim;
      const float scale = tables.scale[row];
      if (pooling == Pooling::max && position > from)
        for (int64_t d = 0; d < dim; ++d) {
          const float next = static_cast<float>(numbers[d]) * scale;
          sum[d] = next > sum[d] || next != next ? next : sum[d];
        }
      else
        for (int64_t d = 0; d < dim; ++d) sum[d] += static_cast<float>(numbers[d]) * scale;
    }
    const bool is_mean = pooling == Pooling::mean && to > from;
    const float share = is_mean ? 1.0f / static_cast<float>(to - from) : 1.0f;
    for (int64_t d = 0; d < dim; ++d) sum[d] *= share;
    const int64_t vector = list * out.vectors + out.first + bag.position;
    out.rows.scale[vector] = quantize_row(sum, dim, out.rows.numbers + vector * out.rows.stride,
                                          out.rows.stride);
  }
  return -1;
}

void dots(const Int8Rows &vectors, int64_t count, float *triangle) {
  for (int64_t i = 1; i < count; ++i) {
    const int8_t *one = vectors.numbers + i * vectors.stride;
    for (int64_t j = 0; j < i; ++j) {
      const int8_t *other = vectors.numbers + j * vectors.stride;
      Sums sum = no_sums();
      for (int64_t d = 0; d < vectors.stride; d += kInt8Unit) {
        const Quads a = read_quads(one + d);
        sum = add_products(sum, magnitude(a), with_signs(read_quads(other + d), a));
      }
      *triangle++ = static_cast<float>(total(sum)) * (vectors.scale[i] * vectors.scale[j]);
    }
  }
}

}  // namespace

template <>
Int8ScoringLoops int8_scoring_loops<kInstructionSet>() {
  Int8ScoringLoops loops{quantize, int8_linear_relu, first_layer, logits<float>,
                         gather,   pool,             dots};
  if constexpr (kHasTiles) loops.linear_relu = int8_linear_relu_on_tiles<Int8Layer>;
  return loops;
}

}  // namespace plumbline
