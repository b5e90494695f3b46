// The forward pass over an instruction set's vectors: see interaction_vectors.h for what V is.
//
// A row's N vectors are packed by panels of V::width of them, transposed: lane p of the panel's
// vectors stands together. A tile of R vectors by C panels then needs one load a panel and one
// broadcast a vector for R * C products, both from the packed form; only tiles that reach the strict
// lower triangle are computed.
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
    for (int64_t d = 0; d < vectors.dim; d += step, to += V::width * V::width) {
      const int64_t length = vectors.dim - d;
      typename V::Lanes block[V::width];
      for (int64_t i = 0; i < present; ++i) {
        const typename V::Element *from = vectors[first + i] + d;
        block[i] = length >= step ? V::take(from) : V::take_part(from, length);
      }
      for (int64_t i = present; i < V::width; ++i) block[i] = V::none();
      V::transpose(block);
      for (int i = 0; i < V::width; ++i) V::keep(to + i * V::width, block[i]);
    }
  }
}

// The dots of `rows` <= R vectors from `first` on with those of `columns` <= C panels from `panel`
// on. Row i of the triangle starts at element i (i − 1) / 2.
template <class V, int R, int C>
void dots(const Packed<V> &packed, int64_t first, int64_t panel, int64_t rows, int64_t columns,
          typename V::Element *triangle) {
  if constexpr (R > 1)
    if (rows < R) return dots<V, R - 1, C>(packed, first, panel, rows, columns, triangle);
  if constexpr (C > 1)
    if (columns < C) return dots<V, R, C - 1>(packed, first, panel, rows, columns, triangle);
  const typename V::Lane *left = packed.panel(first / V::width) + first % V::width;
  const typename V::Lane *right = packed.panel(panel);
  typename V::Sum sum[R][C];
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) sum[r][c] = V::zero();
  for (int64_t p = 0; p < packed.depth; ++p) {
    typename V::Lanes column[C];
    for (int c = 0; c < C; ++c) column[c] = V::load(right + c * packed.stride + p * V::width);
    for (int r = 0; r < R; ++r) {
      const typename V::Lanes one = V::broadcast(left + p * V::width + r);
      for (int c = 0; c < C; ++c) sum[r][c] = V::multiply_add(sum[r][c], one, column[c]);
    }
  }
  for (int r = 0; r < R; ++r) {
    const int64_t row = first + r;
    typename V::Element *to = triangle + row * (row - 1) / 2 + panel * V::width;
    for (int c = 0; c < C; ++c, to += V::width) {
      const int64_t below = row - (panel + c) * V::width;
      if (below >= V::width)
        V::put(to, sum[r][c]);
      else if (below > 0)
        V::put_part(to, sum[r][c], below);
    }
  }
}

template <class V, int R, int C>
struct Forward {
  static int64_t scratch(const Shape &shape) {
    const int64_t panels = round_up(shape.vectors(), V::width) / V::width;
    return panels * Packed<V>::stride_of(shape.dim) * sizeof(typename V::Lane);
  }

  static void rows(const Shape &shape, const void *dense, const void *embeddings, void *out,
                   int64_t begin, int64_t end, void *scratch) {
    using Element = typename V::Element;
    static_assert(V::width % R == 0, "rows of one tile lie in one panel");
    const int64_t count = shape.vectors(), width = shape.width();
    const int64_t direct = shape.has_dense ? shape.dim : 0;
    const Packed<V> packed{static_cast<typename V::Lane *>(scratch),
                           (shape.dim + V::pair - 1) / V::pair, Packed<V>::stride_of(shape.dim)};
    for (int64_t b = begin; b < end; ++b) {
      const auto vectors = vectors_of<const Element>(shape, dense, embeddings, b);
      Element *to = static_cast<Element *>(out) + b * width;
      if (shape.has_dense) memcpy(to, vectors.dense, direct * sizeof(Element));
      pack<V>(vectors, count, packed);
      for (int64_t first = 0; first < count; first += R) {
        const int64_t rows = smaller(count - first, R);
        // The last of these vectors is above the diagonal from its own place on.
        const int64_t panels = round_up(first + rows - 1, V::width) / V::width;
        for (int64_t panel = 0; panel < panels; panel += C)
          dots<V, R, C>(packed, first, panel, rows, smaller(panels - panel, C), to + direct);
      }
      memset(to + shape.content(), 0, (width - shape.content()) * sizeof(Element));
    }
  }
};

}  // namespace
}  // namespace plumbline::interaction
