// Exact sums of float64 numbers, or of their squares: plumbline/features/statistics/exact_sums.py.
#pragma once

#include <cstddef>
#include <cstdint>

#include "arrays.h"

namespace plumbline {

// The powers of two of the lowest and of the highest bit that is set in any finite number.
struct BitSpan {
  int lowest = 0, highest = 0;
  bool is_empty = true;
};

BitSpan bit_span(const Column<const double> &numbers);

// The sums of groups: limbs is (groups, planes), and plane k of a group weighs 2^(32 (low + k)).
struct Limbs {
  int64_t *limbs;
  uint8_t *infinite;  // per group: bit 0 after +inf, bit 1 after -inf
  size_t groups, planes;
  int64_t low;
};

// Adds numbers, or their squares, to their groups; if `group` is null, to the only group. NaN is
// skipped. Throws std::out_of_range for a group, or a bit, that the limbs do not have.
void add_exactly(const Column<const double> &numbers, const int64_t *group, bool squared,
                 const Limbs &sums);

}  // namespace plumbline
