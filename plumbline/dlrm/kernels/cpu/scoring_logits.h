// The last layer. Only for loops, see instruction_set.h.
#pragma once

#include <cstdint>
#include <cstring>

#include "lanes.h"
#include "scoring_loops.h"

namespace plumbline {
namespace {

template <typename Element>
void logits(const float *weight, float bias, int64_t width, const Activations &in, float *out,
            int64_t rows) {
  for (int64_t row = 0; row < rows; ++row) {
    const auto *from = static_cast<const Element *>(in.numbers) + row * in.stride;
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

}  // namespace
}  // namespace plumbline
