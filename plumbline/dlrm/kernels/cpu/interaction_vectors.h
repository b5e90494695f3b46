// The interface of an instruction set to the interaction's kernels: a policy V per dtype and width.
//
//   V::Element               the dtype in memory
//   V::Lane, V::pair         type of one lane of a product: a float, or a pair of bfloat16
//   V::width                 lanes of a vector
//   V::Lanes, V::Sum         a vector of lanes; a vector of float32 sums
//
//   zero() -> Sum, none() -> Lanes                        zeros
//   multiply_add(Sum, Lanes, Lanes) -> Sum
//   load(const Lane *), broadcast(const Lane *) -> Lanes
//   keep(Lane *, Lanes)
//   take(const Element *) -> Lanes                        width * pair elements as lanes
//   widen(const Element *) -> Sum                         width elements as float32
//   put(Element *, Sum)                                   width sums, rounded to nearest even
//   take_part(…, n), widen_part(…, n), put_part(…, n)     fewer elements: no byte past the n-th is
//                                                         read or written; zeros are read there
//   transpose(Lanes (&)[width])
//   merge(Lanes, Lanes) -> Lanes                          in each lane one of them is zero
//   streams                                               whether stream and fence exist:
//   stream(Element *, Sum), fence()                       put to 64-byte lines, bypassing caches
//   across(const Element *a, const Element *b, n) -> Lanes    if pair = 2: lane d is (a[d], b[d]),
//                                                             n <= width; b may be null: zeros
//
// This header and those that include it are only for loops, see instruction_set.h.
#pragma once

#include <cstdint>
#include <cstring>

#include "counts.h"
#include "interaction.h"

namespace plumbline::interaction {
namespace {

// The policies of an instruction set: one specialization each.
template <InstructionSet>
struct Loops;

constexpr int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

// The vectors of one row: the dense vector, if any, then the embeddings.
template <class Element>
struct Vectors {
  Element *dense, *embeddings;
  int64_t dim;

  Element *operator[](int64_t vector) const {
    if (dense == nullptr) return embeddings + vector * dim;
    return vector == 0 ? dense : embeddings + (vector - 1) * dim;
  }
};

template <class Element, class Pointer>
Vectors<Element> vectors_of(const Shape &shape, Pointer dense, Pointer embeddings, int64_t row) {
  return {shape.has_dense ? static_cast<Element *>(dense) + row * shape.dim : nullptr,
          static_cast<Element *>(embeddings) + row * shape.features * shape.dim, shape.dim};
}

// Address of the next row, and its bytes that are prefetched per lane of a tile.
struct Ahead {
  const char *from;
  int64_t step;
};

// Prefetches the next row's embeddings, in as many steps as lanes of tiles are computed.
template <class Element>
Ahead ahead_of(const Shape &shape, const Vectors<const Element> &vectors, int64_t steps) {
  const int64_t bytes = shape.features * shape.dim * sizeof(Element);
  return {reinterpret_cast<const char *>(vectors.embeddings) + bytes, bytes / (steps + 1) + 1};
}

// Partial loads and stores for instruction sets without masks, through a full-length copy.
template <class V>
struct PartsByCopy : V {
  using typename V::Element;
  using typename V::Lanes;
  using typename V::Sum;

  static Lanes take_part(const Element *from, int64_t count) {
    Element held[V::width * V::pair] = {};
    memcpy(held, from, count * sizeof(Element));
    return V::take(held);
  }
  static Sum widen_part(const Element *from, int64_t count) {
    Element held[V::width] = {};
    memcpy(held, from, count * sizeof(Element));
    return V::widen(held);
  }
  static void put_part(Element *to, Sum sum, int64_t count) {
    Element held[V::width];
    V::put(held, sum);
    memcpy(to, held, count * sizeof(Element));
  }
};

}  // namespace
}  // namespace plumbline::interaction
