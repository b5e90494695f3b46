#include "embedding_sort.h"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

namespace plumbline {
namespace {

constexpr int kDigitBits = 11;  // counters of one digit: 8 KB
constexpr int kDigits = 3;      // enough for 32 bits
constexpr int64_t kFew = 32;

// Insertion sort.
void sort_few(Occurrence *occurrences, int64_t count) {
  for (int64_t index = 1; index < count; ++index) {
    const Occurrence moved = occurrences[index];
    int64_t at = index;
    for (; at > 0 && occurrences[at - 1].id > moved.id; --at)
      occurrences[at] = occurrences[at - 1];
    occurrences[at] = moved;
  }
}

}  // namespace

Occurrence *sort_by_id(Occurrence *occurrences, Occurrence *scratch, int64_t count,
                       int64_t cardinality) {
  if (count <= kFew) {
    sort_few(occurrences, count);
    return occurrences;
  }
  const int bits = std::bit_width(static_cast<uint64_t>(cardinality - 1));
  const int digits = (bits + kDigitBits - 1) / kDigitBits;
  if (digits == 0) return occurrences;  // one id
  const int digit_bits = (bits + digits - 1) / digits;
  const uint32_t mask = (uint32_t{1} << digit_bits) - 1;
  std::array<std::array<uint32_t, 1 << kDigitBits>, kDigits> starts;
  for (int digit = 0; digit < digits; ++digit)
    std::fill_n(starts[digit].begin(), mask + 1, uint32_t{0});
  for (int64_t index = 0; index < count; ++index)
    for (int digit = 0; digit < digits; ++digit)
      ++starts[digit][(occurrences[index].id >> (digit * digit_bits)) & mask];
  for (int digit = 0; digit < digits; ++digit) {
    uint32_t start = 0;
    for (uint32_t value = 0; value <= mask; ++value)
      start += std::exchange(starts[digit][value], start);
    for (int64_t index = 0; index < count; ++index) {
      const Occurrence &occurrence = occurrences[index];
      scratch[starts[digit][(occurrence.id >> (digit * digit_bits)) & mask]++] = occurrence;
    }
    std::swap(occurrences, scratch);
  }
  return occurrences;
}

}  // namespace plumbline
