// Eight lanes; 16 registers hold a tile of 6 vectors by 2 of lanes, or of 4 by 2 panels.
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

template <class E>
Kernels kernels() {
  using V = Avx2<E>;
  return {Forward<V>::rows, Forward<V>::scratch,
          Backward<V, 6, 2>::rows, Backward<V, 6, 2>::scratch};
}

}  // namespace

Kernels avx2_kernels(Dtype dtype) {
  if (dtype == Dtype::float32) return kernels<float>();
  return dtype == Dtype::bfloat16 ? kernels<Bfloat16>() : kernels<Float16>();
}

}  // namespace plumbline::interaction

#else

namespace plumbline::interaction {
Kernels avx2_kernels(Dtype) { return {}; }
}  // namespace plumbline::interaction

#endif
