// The optimizer's step on the rows of one column. Only for loops, see instruction_set.h.
#pragma once

#include <cstdint>
#include <cstring>

#include "embedding_loops.h"
#include "embedding_row.h"

namespace plumbline {
namespace {

// Sums are padded to whole vectors with zeros.

inline float added(Floats values) {
  float lane[kLanes];
  std::memcpy(lane, &values, sizeof lane);
  for (int64_t half = kLanes / 2; half > 0; half /= 2)
    for (int64_t l = 0; l < half; ++l) lane[l] += lane[l + half];
  return lane[0];
}

inline Words random_bits(uint64_t first_element, uint32_t k0, uint32_t k1) {
  const uint32_t first_low = static_cast<uint32_t>(first_element);
  const Words low = first_low + Words{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const Words carried = (low < first_low) ? Words{} + 1u : Words{};
  const Words high = static_cast<uint32_t>(first_element >> 32) + carried;
  Words bits = (low ^ k0) + high * 0x9E3779B9u;
  bits ^= bits >> 16;
  bits *= 0x7FEB352Du;
  bits ^= bits >> 15;
  bits *= 0x846CA68Bu;
  bits ^= bits >> 16;
  return bits ^ k1;
}

inline void descend(float *row, const float *gradient, float factor, const Optimizer &optimizer,
                    int64_t) {
  for (int64_t d = 0, dim = optimizer.dim; d < dim; d += kLanes)
    store(row + d, load(row + d, dim - d) - factor * load(gradient + d), dim - d);
}

inline void descend(Bfloat16 *row, const float *gradient, float factor,
                    const Optimizer &optimizer, int64_t row_number) {
  for (int64_t d = 0, dim = optimizer.dim; d < dim; d += kLanes) {
    const Floats values = load(row + d, dim - d) - factor * load(gradient + d);
    const Words bits = bits_of(values);
    const Words random =
        random_bits(static_cast<uint64_t>(row_number * dim + d), optimizer.k0, optimizer.k1);
    const Words raised = (bits + (random >> 16)) >> 16;
    const Words nearest = __builtin_convertvector(nearest_bfloat16(values), Words);
    const Words chosen = (bits & 0x7F800000u) != 0x7F800000u ? raised : nearest;
    put(row + d, __builtin_convertvector(chosen, Halves), dim - d);
  }
}

// Writes scale · Σ gradient to `sum`, over the occurrences in [begin, end), which share one id;
// returns Σ sum².
template <typename Gradient>
inline float sum_gradients(const Optimizer &optimizer, const Column &column, int64_t begin,
                           int64_t end, float *sum) {
  const int64_t dim = optimizer.dim;
  const auto *gradients = static_cast<const Gradient *>(optimizer.gradient);
  for (int64_t index = begin; index < end; ++index) {
    const int64_t row = column.occurrences[index].row;
    const Gradient *gradient = gradients + (row * optimizer.vectors + column.position) * dim;
    float share = 1.0f;
    if (column.offsets)
      share /= static_cast<float>(column.offsets[row + 1] - column.offsets[row]);
    if (index == begin)
      for (int64_t d = 0; d < dim; d += kLanes)
        store(sum + d, share * load(gradient + d, dim - d));
    else
      for (int64_t d = 0; d < dim; d += kLanes)
        store(sum + d, load(sum + d) + share * load(gradient + d, dim - d));
  }
  Floats squares{};
  for (int64_t d = 0; d < dim; d += kLanes) {
    const Floats scaled = optimizer.scale * load(sum + d);
    store(sum + d, scaled);
    squares += scaled * scaled;
  }
  return added(squares);
}

template <typename Row, typename Gradient>
void update_as(const Optimizer &optimizer, const Column &column, int64_t begin, int64_t end,
               float *sum) {
  const int64_t dim = optimizer.dim;
  auto *rows = static_cast<Row *>(optimizer.weight) + column.first_row * dim;
  float *state = optimizer.state ? optimizer.state + column.first_row : nullptr;
  const auto *gradients = static_cast<const Gradient *>(optimizer.gradient);
  const Occurrence *occurrences = column.occurrences;
  int64_t asked = begin;
  for (int64_t start = begin, next; start < end; start = next) {
    const uint32_t id = occurrences[start].id;
    for (next = start + 1; next < end && occurrences[next].id == id;) ++next;
    for (; asked < end && asked < start + kAhead; ++asked) {
      const Occurrence &coming = occurrences[asked];
      prefetch(gradients + (coming.row * optimizer.vectors + column.position) * dim,
               dim * static_cast<int64_t>(sizeof(Gradient)));
      if (asked > begin && coming.id == occurrences[asked - 1].id) continue;
      prefetch(rows + coming.id * dim, dim * static_cast<int64_t>(sizeof(Row)));
      if (state) prefetch(state + coming.id, sizeof(float));
    }
    const float squares = sum_gradients<Gradient>(optimizer, column, start, next, sum);
    float factor = optimizer.learning_rate;
    if (state) {
      state[id] += squares / static_cast<float>(dim);
      factor /= __builtin_sqrtf(state[id]) + optimizer.eps;
    }
    descend(rows + id * dim, sum, factor, optimizer, column.first_row + id);
  }
}

}  // namespace
}  // namespace plumbline
