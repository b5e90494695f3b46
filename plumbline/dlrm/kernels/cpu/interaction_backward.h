// The backward pass over an instruction set's vectors: see interaction_vectors.h for what V is.
//
// The gradient of a row's N vectors is S · vectors, where S (N, N) is symmetric, with the gradients
// of the dots off the diagonal and zeros on it. Panels of C * V::width elements of the vectors are
// packed: lane d of vector k (or of the pair 2k, 2k + 1) follows lane d of its predecessor. A tile
// of R vectors by one panel needs C loads and R broadcasts for R * C products. Its loops are
// unrolled, so the sums stay in registers.
#pragma once

#include "interaction.h"
#include "interaction_vectors.h"

namespace plumbline::interaction {
namespace {

// S, padded with zeros to whole squares of Q::width; if V::pair = 2, a lane is two of its values.
template <class Q>
struct Symmetric {
  typename Q::Lane *values;
  int64_t stride;  // values from one row to the next

  typename Q::Lane *at(int64_t row, int64_t column) const {
    return values + row * stride + column;
  }
};

// Fills S by squares of the triangle: a square below the diagonal is also written transposed above
// it; a square on the diagonal merges its lower triangle with its transpose.
template <class Q>
void spread(const typename Q::Element *triangle, int64_t count, Symmetric<Q> symmetric) {
  constexpr int W = Q::width;
  typename Q::Lanes square[W], across[W];
  for (int64_t first = 0; first < count; first += W) {
    const int64_t present = smaller(count - first, W);
    const typename Q::Element *row[W];
    for (int64_t i = 0; i < W; ++i)
      row[i] = triangle + (first + i) * (first + i - 1) / 2;
    for (int64_t left = 0; left < first; left += W) {
      for (int i = 0; i < W; ++i) square[i] = i < present ? Q::take(row[i] + left) : Q::none();
      for (int i = 0; i < W; ++i) Q::keep(symmetric.at(first + i, left), square[i]);
      Q::transpose(square);
      for (int i = 0; i < W; ++i) Q::keep(symmetric.at(left + i, first), square[i]);
    }
    for (int i = 0; i < W; ++i)
      across[i] = square[i] = i < present ? Q::take_part(row[i] + first, i) : Q::none();
    Q::transpose(across);
    for (int i = 0; i < W; ++i)
      Q::keep(symmetric.at(first + i, first), Q::merge(square[i], across[i]));
  }
}

// Packs elements [d, d + length) of all vectors into `columns` registers of lanes, then zeros.
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

// Gradients of more bytes are streamed: more than a core's share of the last-level cache.
constexpr int64_t kStreamed = int64_t{16} << 20;

// Whether gradients are streamed: they exceed the caches, and every vector is whole lines of 64
// bytes.
template <class Element>
bool is_streamed(const Shape &shape, const void *dense, const void *embeddings) {
  const int64_t length = shape.dim * sizeof(Element);
  const uintptr_t bits = reinterpret_cast<uintptr_t>(dense) |
                         reinterpret_cast<uintptr_t>(embeddings) | static_cast<uintptr_t>(length);
  return bits % 64 == 0 && shape.rows * shape.vectors() * length > kStreamed;
}

// Stores one register of `length` <= V::width sums, plus the direct gradient if given.
template <class V>
void write(typename V::Element *to, typename V::Sum sum, const typename V::Element *direct,
           int64_t length, bool streamed) {
  if (length < V::width) {
    if (direct) sum = sum + V::widen_part(direct, length);
    return V::put_part(to, sum, length);
  }
  if (direct) sum = sum + V::widen(direct);
  if constexpr (V::streams)
    if (streamed) return V::stream(to, sum);
  V::put(to, sum);
}

// Destination of a tile's sums: elements [d, d + length) of the vectors from `first` on.
template <class Element>
struct Target {
  Vectors<Element> gradients;
  const Element *direct;  // the dense vector's gradient from the dense part of the result, or null
  bool streamed;          // bypass the caches
  int64_t first, d, length;
};

template <class V, int R, int C>
void products(const Symmetric<typename V::Square> &symmetric, const typename V::Lane *panel,
              int64_t lanes, int64_t rows, int64_t columns,
              const Target<typename V::Element> &target, Ahead ahead) {
  if constexpr (R > 1)
    if (rows < R)
      return products<V, R - 1, C>(symmetric, panel, lanes, rows, columns, target, ahead);
  if constexpr (C > 1)
    if (columns < C)
      return products<V, R, C - 1>(symmetric, panel, lanes, rows, columns, target, ahead);
  const typename V::Lane *left[R];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
    left[r] = reinterpret_cast<const typename V::Lane *>(symmetric.at(target.first + r, 0));
  typename V::Sum sum[R][C];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c) sum[r][c] = V::zero();
  for (int64_t k = 0; k < lanes; ++k, panel += C * V::width, ahead.from += ahead.step) {
    __builtin_prefetch(ahead.from);
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
    const int64_t vector = target.first + r;
    typename V::Element *to = target.gradients[vector] + target.d;
    const typename V::Element *direct =
        vector == 0 && target.direct ? target.direct + target.d : nullptr;
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c) {
      const int64_t left_over = smaller(target.length - c * V::width, V::width);
      write<V>(to + c * V::width, sum[r][c], direct ? direct + c * V::width : nullptr, left_over,
               target.streamed);
    }
  }
}

template <class V, int R, int C>
struct Backward {
  using Element = typename V::Element;
  using Square = typename V::Square;
  static constexpr int64_t kPanel = C * V::width;  // elements

  static int64_t lanes_of(const Shape &shape) {
    return (shape.vectors() + V::pair - 1) / V::pair;
  }
  static int64_t symmetric_bytes(const Shape &shape) {
    const int64_t side = round_up(shape.vectors(), Square::width);
    return round_up(side * side * sizeof(typename Square::Lane), 64);
  }
  static int64_t scratch(const Shape &shape) {
    return symmetric_bytes(shape) + lanes_of(shape) * kPanel * sizeof(typename V::Lane);
  }

  static void rows(const Shape &shape, const void *gradient, const void *dense,
                   const void *embeddings, void *dense_gradient, void *embedding_gradient,
                   int64_t begin, int64_t end, void *scratch) {
    const int64_t count = shape.vectors(), dim = shape.dim, lanes = lanes_of(shape);
    const Symmetric<Square> symmetric{static_cast<typename Square::Lane *>(scratch),
                                      round_up(count, Square::width)};
    auto *panel = reinterpret_cast<typename V::Lane *>(static_cast<char *>(scratch) +
                                                       symmetric_bytes(shape));
    const bool streamed = is_streamed<Element>(shape, dense_gradient, embedding_gradient);
    const int64_t tiles = round_up(dim, kPanel) / kPanel * (round_up(count, R) / R);
    for (int64_t b = begin; b < end; ++b) {
      const Element *from = static_cast<const Element *>(gradient) + b * shape.width();
      const auto vectors = vectors_of<const Element>(shape, dense, embeddings, b);
      Target<Element> target{vectors_of<Element>(shape, dense_gradient, embedding_gradient, b),
                           shape.has_dense ? from : nullptr, streamed, 0, 0, 0};
      Ahead ahead = ahead_of(shape, vectors, tiles * lanes);
      spread<Square>(from + (shape.has_dense ? dim : 0), count, symmetric);
      for (target.d = 0; target.d < dim; target.d += kPanel) {
        target.length = smaller(dim - target.d, kPanel);
        const int64_t columns = round_up(target.length, V::width) / V::width;
        pack_panel<V>(vectors, count, target.d, columns, target.length, panel);
        for (target.first = 0; target.first < count; target.first += R) {
          const int64_t present = smaller(count - target.first, R);
          products<V, R, C>(symmetric, panel, lanes, present, columns, target, ahead);
          ahead.from += lanes * ahead.step;
        }
      }
    }
    if constexpr (V::streams) V::fence();
  }
};

}  // namespace
}  // namespace plumbline::interaction
