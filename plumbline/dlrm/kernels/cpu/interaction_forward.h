// The forward pass over an instruction set's vectors: see interaction_vectors.h for what V is.
//
// A row's N vectors are packed into panels of V::width vectors, transposed: lane p of all vectors
// of a panel is contiguous. A tile of R vectors by C panels then needs one load per panel and one
// broadcast per vector for R * C products, both from packed data. Its loops are unrolled, so the
// sums stay in registers. Only tiles that reach the strict lower triangle are computed. Slots of
// the last panel past the N-th vector repeat it, and their results are not written.
#pragma once

#include "interaction.h"
#include "interaction_vectors.h"

namespace plumbline::interaction {
namespace {

template <class V>
struct Packed {
  typename V::Lane *lanes;
  int64_t depth;   // lanes of one vector
  int64_t stride;  // from one panel to the next

  static int64_t stride_of(int64_t dim) {
    return round_up((dim + V::pair - 1) / V::pair, V::width) * V::width;
  }
  const typename V::Lane *panel(int64_t index) const { return lanes + index * stride; }
};

template <class V>
void pack(const Vectors<const typename V::Element> &vectors, int64_t count,
          const Packed<V> &packed) {
  constexpr int64_t step = V::width * V::pair;
  for (int64_t first = 0; first < count; first += V::width) {
    typename V::Lane *to = packed.lanes + first / V::width * packed.stride;
    const int64_t present = smaller(count - first, V::width);
    const typename V::Element *from[V::width];
    for (int64_t i = 0; i < V::width; ++i) from[i] = vectors[first + smaller(i, present - 1)];
    for (int64_t d = 0; d < vectors.dim; d += step, to += V::width * V::width) {
      const int64_t length = vectors.dim - d;
      typename V::Lanes block[V::width];
      if (length >= step)
        for (int i = 0; i < V::width; ++i) block[i] = V::take(from[i] + d);
      else
        for (int i = 0; i < V::width; ++i) block[i] = V::take_part(from[i] + d, length);
      V::transpose(block);
      for (int i = 0; i < V::width; ++i) V::keep(to + i * V::width, block[i]);
    }
  }
}

// Number of panels of a tile of this many vectors.
template <class V>
constexpr int panels_of(int64_t vectors) {
  return static_cast<int>(smaller(4, V::tile / vectors));
}

// Dots of `rows` <= R vectors, from `first` on, with the vectors of `columns` <= C panels, from
// `panel` on. Row i of the triangle starts at element i (i − 1) / 2.
template <class V, int R, int C>
void dots(const Packed<V> &packed, int64_t first, int64_t panel, int64_t rows, int64_t columns,
          typename V::Element *triangle, Ahead ahead) {
  if constexpr (R > 1)
    if (rows < R)
      return dots<V, R - 1, panels_of<V>(R - 1)>(packed, first, panel, rows, columns, triangle,
                                                 ahead);
  if constexpr (C > 1)
    if (columns < C)
      return dots<V, R, C - 1>(packed, first, panel, rows, columns, triangle, ahead);
  const typename V::Lane *left = packed.panel(first / V::width) + first % V::width;
  const typename V::Lane *right = packed.panel(panel);
  typename V::Sum sum[R][C];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c) sum[r][c] = V::zero();
  for (int64_t p = 0; p < packed.depth; ++p, ahead.from += ahead.step) {
    __builtin_prefetch(ahead.from);
    typename V::Lanes column[C];
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c) column[c] = V::load(right + c * packed.stride + p * V::width);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const typename V::Lanes one = V::broadcast(left + p * V::width + r);
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c) sum[r][c] = V::multiply_add(sum[r][c], one, column[c]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
    const int64_t row = first + r;
    typename V::Element *to = triangle + row * (row - 1) / 2 + panel * V::width;
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c, to += V::width) {
      const int64_t below = row - (panel + c) * V::width;
      if (below >= V::width)
        V::put(to, sum[r][c]);
      else if (below > 0)
        V::put_part(to, sum[r][c], below);
    }
  }
}

template <class V>
struct Forward {
  static constexpr int R = V::rows, C = panels_of<V>(R);
  static_assert(V::width % R == 0, "vectors of one tile lie in one panel");

  static int64_t scratch(const Shape &shape) {
    const int64_t panels = round_up(shape.vectors(), V::width) / V::width;
    return panels * Packed<V>::stride_of(shape.dim) * sizeof(typename V::Lane);
  }

  // Calls work(first vector, first panel, vectors, panels) for every tile.
  template <class Work>
  static void each_tile(int64_t count, const Work &work) {
    for (int64_t first = 0; first < count; first += R) {
      const int64_t rows = smaller(count - first, R);
      // The last of these vectors has dots below the diagonal up to its own index.
      const int64_t panels = round_up(first + rows - 1, V::width) / V::width;
      const int64_t columns = panels_of<V>(rows);
      for (int64_t panel = 0; panel < panels; panel += columns)
        work(first, panel, rows, smaller(panels - panel, columns));
    }
  }

  static void rows(const Shape &shape, const void *dense, const void *embeddings, void *out,
                   int64_t begin, int64_t end, void *scratch) {
    using Element = typename V::Element;
    const int64_t count = shape.vectors(), width = shape.width();
    const int64_t direct = shape.has_dense ? shape.dim : 0;
    const Packed<V> packed{static_cast<typename V::Lane *>(scratch),
                           (shape.dim + V::pair - 1) / V::pair, Packed<V>::stride_of(shape.dim)};
    int64_t tiles = 0;
    each_tile(count, [&](int64_t, int64_t, int64_t, int64_t) { ++tiles; });
    for (int64_t b = begin; b < end; ++b) {
      const auto vectors = vectors_of<const Element>(shape, dense, embeddings, b);
      Element *to = static_cast<Element *>(out) + b * width;
      if (shape.has_dense) memcpy(to, vectors.dense, direct * sizeof(Element));
      pack<V>(vectors, count, packed);
      Ahead ahead = ahead_of(shape, vectors, tiles * packed.depth);
      each_tile(count, [&](int64_t first, int64_t panel, int64_t rows, int64_t columns) {
        dots<V, R, C>(packed, first, panel, rows, columns, to + direct, ahead);
        ahead.from += packed.depth * ahead.step;
      });
      memset(to + shape.content(), 0, (width - shape.content()) * sizeof(Element));
    }
  }
};

}  // namespace
}  // namespace plumbline::interaction
