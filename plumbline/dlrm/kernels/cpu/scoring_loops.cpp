#include "scoring_loops.h"

#include "scoring_amx.h"
#include "scoring_logits.h"
#include "scoring_tiles.h"

namespace plumbline {
namespace {

template <class P>
void round_numbers(const float *from, void *to, int64_t count) {
  auto *out = static_cast<typename P::Element *>(to);
  for (int64_t k = 0; k < count; k += kLanes) store(out + k, load(from + k, count - k), count - k);
}

template <class P>
constexpr ScoringLoops loops_for() {
  return {linear_relu<P>, logits<typename P::Element>, round_numbers<P>};
}

}  // namespace

template <>
ScoringLoops scoring_loops<kInstructionSet>(Dtype dtype) {
  if (dtype == Dtype::float32) return loops_for<Singles32>();
  ScoringLoops loops = loops_for<Pairs16>();
  if constexpr (kHasTiles) loops.linear_relu = linear_relu_on_tiles<Bfloat16>;
  return loops;
}

}  // namespace plumbline
