#include "relu_gradient_loops.h"

#include "lanes.h"

namespace plumbline {
namespace {

static_assert(kColumnsAtATime == kLanes);

inline Words masked(const float *gradient, Words kept) { return read<Words>(gradient) & kept; }

template <typename Half>
inline Halves masked(const Half *gradient, Words kept) {
  return read<Halves>(gradient) & __builtin_convertvector(kept, Halves);
}

// All bits where an output is above zero or NaN. Compilers without vectors of this width split up
// arithmetic, but would take a comparison apart into single numbers.
inline Words above_zero(Floats output) {
  const Ints bits = reinterpret_cast<Ints>(output);
  const Ints positive = -bits & ~bits, nan = 0x7F800000 - (bits & 0x7FFFFFFF);
  return reinterpret_cast<Words>((positive | nan) >> 31);
}

// Sixteen columns. The gradient's bits are kept as they are, not rounded.
template <typename Element>
inline void keep(const Element *gradient, const Element *output, Element *to, float *sum,
                 int64_t count) {
  const Words kept = above_zero(widened(output));
  put(to, masked(gradient, kept), count);
  store(sum, load(sum) + with_bits(bits_of(widened(gradient)) & kept));
}

template <typename Element>
void rows_as(const ReluGradient &work, int64_t begin, int64_t end, float *sum) {
  const int64_t columns = work.columns, whole = columns / kLanes * kLanes, rest = columns - whole;
  for (int64_t column = 0; column < columns; column += kLanes) store(sum + column, Floats{});
  for (int64_t row = begin; row < end; ++row) {
    const auto *gradient = static_cast<const Element *>(work.gradient) + row * columns;
    const auto *output = static_cast<const Element *>(work.output) + row * columns;
    auto *to = static_cast<Element *>(work.kept) + row * columns;
    for (int64_t column = 0; column < whole; column += kLanes)
      keep(gradient + column, output + column, to + column, sum + column, kLanes);
    if (rest) {
      Element last_gradient[kLanes] = {}, last_output[kLanes] = {};
      const size_t bytes = static_cast<size_t>(rest) * sizeof(Element);
      std::memcpy(last_gradient, gradient + whole, bytes);
      std::memcpy(last_output, output + whole, bytes);
      keep(last_gradient, last_output, to + whole, sum + whole, rest);
    }
  }
}

}  // namespace

template <>
ReluGradientLoop *relu_gradient_loops<kInstructionSet>(Dtype dtype) {
  switch (dtype) {
    case Dtype::float32:
      return rows_as<float>;
    case Dtype::bfloat16:
      return rows_as<Bfloat16>;
    default:
      return rows_as<Float16>;
  }
}

}  // namespace plumbline
