// Encoded rows, the input of scoring, and the columns that they consist of.
#pragma once

#include <cstdint>
#include <vector>

#include "embedding_loops.h"

namespace plumbline {

// A column of lists; `position` is the column's index among all id columns.
struct ListColumn {
  int64_t first_row, cardinality, position;
};

// The tables of the id columns.
struct IdColumns {
  std::vector<int64_t> first_row, cardinality, position;  // of the columns with one id a row
  std::vector<ListColumn> lists;
  Pooling pooling;

  int64_t singles() const { return static_cast<int64_t>(position.size()); }
  int64_t count() const { return static_cast<int64_t>(position.size() + lists.size()); }
};

// (rows, columns); strides in numbers.
template <typename T>
struct Strided {
  const T *data;
  int64_t row_stride, column_stride;
};

struct ListIds {
  const int64_t *ids;
  int64_t count;
  const int64_t *offsets;
};

// The lists of rows [first, first + count).
inline Bag bag_of(const ListColumn &column, const ListIds &ids, int64_t first, int64_t count) {
  return {ids.ids,          ids.count,          ids.offsets + first, count,
          column.first_row, column.cardinality, column.position};
}

// The caller has checked the shapes, and that offsets rise from 0 to `count`.
struct EncodedRows {
  int64_t rows;
  Strided<int64_t> ids;
  Strided<float> dense;
  std::vector<ListIds> lists;

  // Copies rows [begin, begin + count) without gaps; the results have `columns` numbers a row.
  void copy_ids(int64_t begin, int64_t count, int64_t columns, int64_t *to) const {
    for (int64_t row = 0; row < count; ++row) {
      const int64_t *from = ids.data + (begin + row) * ids.row_stride;
      for (int64_t column = 0; column < columns; ++column)
        to[row * columns + column] = from[column * ids.column_stride];
    }
  }

  // Each row of the result has `stride` numbers, zeros after the columns.
  void copy_dense(int64_t begin, int64_t count, int64_t columns, int64_t stride, float *to) const {
    for (int64_t row = 0; row < count; ++row, to += stride) {
      const float *from = dense.data + (begin + row) * dense.row_stride;
      for (int64_t column = 0; column < stride; ++column)
        to[column] = column < columns ? from[column * dense.column_stride] : 0.0f;
    }
  }
};

}  // namespace plumbline
