#include "scoring_loops.h"

#include "scoring_tiles.h"

namespace plumbline {
namespace {

template <class P>
void logits(const float *weight, float bias, int64_t width, const Activations &in, float *out,
            int64_t rows) {
  for (int64_t row = 0; row < rows; ++row) {
    const auto *from = static_cast<const typename P::Element *>(in.numbers) + row * in.stride;
    Floats sum{};
    for (int64_t k = 0; k < width; k += kLanes)
      sum += load(from + k, width - k) * load(weight + k, width - k);
    float part[kLanes];
    std::memcpy(part, &sum, sizeof part);
    for (int64_t half = kLanes / 2; half > 0; half /= 2)
      for (int64_t lane = 0; lane < half; ++lane) part[lane] += part[lane + half];
    out[row] = part[0] + bias;
  }
}

template <class P>
void round_numbers(const float *from, void *to, int64_t count) {
  auto *out = static_cast<typename P::Element *>(to);
  for (int64_t k = 0; k < count; k += kLanes) store(out + k, load(from + k, count - k), count - k);
}

template <class P>
constexpr ScoringLoops loops_for() {
  return {linear_relu<P>, logits<P>, round_numbers<P>};
}

}  // namespace

template <>
ScoringLoops scoring_loops<kInstructionSet>(Dtype dtype) {
  return dtype == Dtype::float32 ? loops_for<Singles32>() : loops_for<Pairs16>();
}

}  // namespace plumbline
