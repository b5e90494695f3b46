// Eight lanes. 16 registers hold a tile of 6 vectors by 2 registers, or of 4 vectors by 2 panels.
#pragma once

#include "interaction_backward.h"
#include "interaction_forward.h"

#if defined(__AVX2__)

#include "interaction_eight.h"

namespace plumbline::interaction {
namespace {

template <class E>
struct Avx2 : PartsByCopy<Eight<E>> {
  using Square = Avx2;
  static constexpr int rows = 4, tile = 12;
};

template <>
struct Loops<InstructionSet::avx2> {
  template <class E>
  static Kernels with_elements() {
    using V = Avx2<E>;
    return {Forward<V>::rows, Forward<V>::scratch,
            Backward<V, 6, 2>::rows, Backward<V, 6, 2>::scratch};
  }
  static Kernels of(Dtype dtype) {
    if (dtype == Dtype::float32) return with_elements<float>();
    return dtype == Dtype::bfloat16 ? with_elements<Bfloat16>() : with_elements<Float16>();
  }
};

}  // namespace
}  // namespace plumbline::interaction

#endif
