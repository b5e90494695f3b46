// The backward pass over an instruction set's vectors: see interaction_vectors.h for what V is.
//
// The gradient of a row's N vectors is S · vectors, where S (N, N) is symmetric, has the gradient of
// the dots beside its diagonal and zeros on it. Panels of C * V::width elements of the vectors are
// packed, lane d of vector k (or of the pair 2k, 2k + 1) after lane d of the one before; a tile of R
// vectors by one panel needs C loads and R broadcasts for R * C products.
#pragma once

#include "interaction.h"
#include "interaction_vectors.h"

namespace plumbline::interaction {
namespace {

// S: row i from lane i * lanes on, coefficients of bfloat16 where a lane is a pair of them.
template <class V>
struct Symmetric {
  typename V::Lane *values;
  int64_t lanes;  // of one row

  static int64_t lanes_of(int64_t vectors) { return (vectors + V::pair - 1) / V::pair; }
  typename V::Lane *row(int64_t index) const { return values + index * lanes; }
};

// Row by row: the triangle's row i, and below the rows above it, column i. What a vector holds past
// the row's end is zeros, on the diagonal, on padding, and on places that are filled later.
template <class V>
void spread(const typename V::Element *triangle, int64_t count, const Symmetric<V> &symmetric) {
  constexpr int64_t step = V::width * V::pair;
  const int64_t stride = symmetric.lanes * V::pair;
  auto *values = reinterpret_cast<typename V::Coefficient *>(symmetric.values);
  for (int64_t i = 0; i < count; triangle += i, ++i) {
    typename V::Lane *row = symmetric.row(i);
    for (int64_t j = 0; j < i; j += step)
      V::keep(row + j / V::pair,
              i - j >= step ? V::take(triangle + j) : V::take_part(triangle + j, i - j));
    for (int64_t j = 0; j < i; ++j) values[j * stride + i] = values[i * stride + j];
  }
}

// Elements d … of all vectors, `columns` vectors of lanes of them: `length` elements, then zeros.
template <class V>
void pack_panel(const Vectors<const typename V::Element> &vectors, int64_t count, int64_t d,
                int64_t columns, int64_t length, typename V::Lane *to) {
  for (int64_t k = 0; k < count; k += V::pair) {
    const typename V::Element *from = vectors[k] + d;
    for (int64_t c = 0; c < columns; ++c, from += V::width, to += V::width) {
      const int64_t left = length - c * V::width;
      if constexpr (V::pair == 1) {
        V::keep(to, left >= V::width ? V::take(from) : V::take_part(from, left));
      } else {
        const bool has_next = k + 1 < count;
        V::keep(to, V::across(from, has_next ? vectors[k + 1] + d + c * V::width : nullptr,
                              smaller(left, V::width)));
      }
    }
  }
}

// Where a tile's sums go: elements d … d + length − 1 of the vectors from `first` on.
template <class Element>
struct Place {
  Vectors<Element> gradients;
  const Element *direct;  // the dense vector's gradient from the dense part of the result, or null
  int64_t first, d, length;
};

template <class V, int R, int C>
void products(const Symmetric<V> &symmetric, const typename V::Lane *panel, int64_t rows,
              int64_t columns, const Place<typename V::Element> &place) {
  if constexpr (R > 1)
    if (rows < R) return products<V, R - 1, C>(symmetric, panel, rows, columns, place);
  if constexpr (C > 1)
    if (columns < C) return products<V, R, C - 1>(symmetric, panel, rows, columns, place);
  const typename V::Lane *left[R];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) left[r] = symmetric.row(place.first + r);
  typename V::Sum sum[R][C];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c) sum[r][c] = V::zero();
  for (int64_t k = 0; k < symmetric.lanes; ++k, panel += C * V::width) {
    typename V::Lanes column[C];
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c) column[c] = V::load(panel + c * V::width);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const typename V::Lanes one = V::broadcast(left[r] + k);
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c) sum[r][c] = V::multiply_add(sum[r][c], one, column[c]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
    typename V::Element *to = place.gradients[place.first + r] + place.d;
    const bool add = place.direct != nullptr && place.first + r == 0;
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c) {
      const int64_t at = c * V::width, left_over = place.length - at;
      if (left_over >= V::width) {
        if (add) sum[r][c] = sum[r][c] + V::widen(place.direct + place.d + at);
        V::put(to + at, sum[r][c]);
      } else {
        if (add) sum[r][c] = sum[r][c] + V::widen_part(place.direct + place.d + at, left_over);
        V::put_part(to + at, sum[r][c], left_over);
      }
    }
  }
}

template <class V, int R, int C>
struct Backward {
  static int64_t symmetric_bytes(const Shape &shape) {
    const int64_t lanes = Symmetric<V>::lanes_of(shape.vectors()) * shape.vectors() + V::width;
    return round_up(lanes * sizeof(typename V::Lane), 64);
  }

  static int64_t scratch(const Shape &shape) {
    return symmetric_bytes(shape) +
           Symmetric<V>::lanes_of(shape.vectors()) * C * V::width * sizeof(typename V::Lane);
  }

  static void rows(const Shape &shape, const void *gradient, const void *dense,
                   const void *embeddings, void *dense_gradient, void *embedding_gradient,
                   int64_t begin, int64_t end, void *scratch) {
    using Element = typename V::Element;
    const int64_t count = shape.vectors(), dim = shape.dim;
    const Symmetric<V> symmetric{static_cast<typename V::Lane *>(scratch),
                                 Symmetric<V>::lanes_of(count)};
    auto *panel = reinterpret_cast<typename V::Lane *>(static_cast<char *>(scratch) +
                                                       symmetric_bytes(shape));
    for (int64_t b = begin; b < end; ++b) {
      const Element *from = static_cast<const Element *>(gradient) + b * shape.width();
      const auto vectors = vectors_of<const Element>(shape, dense, embeddings, b);
      Place<Element> place{
          vectors_of<Element>(shape, dense_gradient, embedding_gradient, b),
          shape.has_dense ? from : nullptr, 0, 0, 0};
      spread<V>(from + (shape.has_dense ? dim : 0), count, symmetric);
      for (place.d = 0; place.d < dim; place.d += C * V::width) {
        place.length = smaller(dim - place.d, C * V::width);
        const int64_t columns = round_up(place.length, V::width) / V::width;
        pack_panel<V>(vectors, count, place.d, columns, place.length, panel);
        for (place.first = 0; place.first < count; place.first += R)
          products<V, R, C>(symmetric, panel, smaller(count - place.first, R), columns, place);
      }
    }
  }
};

}  // namespace
}  // namespace plumbline::interaction
