#include "relu_gradient.h"

#include <algorithm>
#include <memory>

#include "counts.h"
#include "with_instruction_set.h"

namespace plumbline {
namespace {

constexpr int64_t kRowsAtATime = 256;

}  // namespace

void relu_gradient(InstructionSet set, Dtype dtype, const ReluGradient &work, float *bias_gradient,
                   int threads) {
  ReluGradientLoop *const loop =
      with(set, [dtype](auto compiled) { return relu_gradient_loops<compiled()>(dtype); });
  const int64_t parts = parts_of(work.rows, kRowsAtATime);
  const int64_t width = round_up(work.columns, kColumnsAtATime);
  const auto sums = std::make_unique_for_overwrite<float[]>(static_cast<size_t>(parts * width));
#pragma omp parallel for num_threads(threads) schedule(dynamic) if (parts > 1)
  for (int64_t part = 0; part < parts; ++part) {
    const int64_t begin = part * kRowsAtATime;
    loop(work, begin, std::min(work.rows, begin + kRowsAtATime), sums.get() + part * width);
  }
  std::fill_n(bias_gradient, work.columns, 0.0f);
  for (int64_t part = 0; part < parts; ++part)
    for (int64_t column = 0; column < work.columns; ++column)
      bias_gradient[column] += sums[static_cast<size_t>(part * width + column)];
}

}  // namespace plumbline
