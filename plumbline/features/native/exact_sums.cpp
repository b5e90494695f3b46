#include "exact_sums.h"

#include <algorithm>
#include <array>
#include <bit>
#include <climits>
#include <stdexcept>
#include <vector>

namespace plumbline {
namespace {

__extension__ using Wide = unsigned __int128;
__extension__ using SignedWide = __int128;

constexpr uint64_t kFraction = (uint64_t{1} << 52) - 1, kDigit = 0xFFFFFFFF;
constexpr int kNotFinite = 2047;

// A float64: (-1)^negative * mantissa * 2^exponent, unless it is not finite.
struct Parts {
  explicit Parts(double number) {
    const auto bits = std::bit_cast<uint64_t>(number);
    const int biased = static_cast<int>(bits >> 52 & 0x7FF);
    negative = bits >> 63;
    is_finite = biased != kNotFinite;
    mantissa = (bits & kFraction) | (biased > 0 ? kFraction + 1 : 0);
    exponent = std::max(biased, 1) - 1075;
  }
  uint64_t mantissa;
  int exponent;
  bool negative, is_finite;
};

std::array<uint64_t, 3> digits(uint64_t mantissa, int shift) {
  const Wide shifted = Wide{mantissa} << shift;
  return {static_cast<uint64_t>(shifted) & kDigit, static_cast<uint64_t>(shifted >> 32) & kDigit,
          static_cast<uint64_t>(shifted >> 64)};
}

std::array<uint64_t, 5> wide_digits(Wide number, int shift) {
  const Wide lower = Wide{static_cast<uint64_t>(number)} << shift;
  const Wide upper = (Wide{static_cast<uint64_t>(number >> 64)} << shift) + (lower >> 64);
  return {static_cast<uint64_t>(lower) & kDigit, static_cast<uint64_t>(lower >> 32) & kDigit,
          static_cast<uint64_t>(upper) & kDigit, static_cast<uint64_t>(upper >> 32) & kDigit,
          static_cast<uint64_t>(upper >> 64)};
}

// Adds digits to a group. A digit outside of its limbs has to be 0; it is added to `outside`.
template <size_t kDigits>
void add_digits(const std::array<uint64_t, kDigits> &digits, size_t first, int64_t sign,
                int64_t *limbs, size_t planes, int64_t &outside) {
  for (size_t digit = 0; digit < kDigits; ++digit) {
    int64_t *const limb = first + digit < planes ? limbs + first + digit : &outside;
    *limb += (static_cast<int64_t>(digits[digit]) ^ sign) - sign;
  }
}

template <bool kSquared>
auto digits_of(uint64_t mantissa, int shift) {
  if constexpr (kSquared) {
    return wide_digits(Wide{mantissa} * mantissa, shift);
  } else {
    return digits(mantissa, shift);
  }
}

void mark_infinite(const Parts &parts, bool squared, uint8_t &marks) {
  if ((parts.mantissa & kFraction) == 0) marks |= parts.negative && !squared ? 2 : 1;
}

template <bool kSquared>
void add_to_groups(const Column<const double> &numbers, const int64_t *group, const Limbs &sums) {
  int64_t outside = 0;
  for (size_t row = 0; row < numbers.size; ++row) {
    const auto at = static_cast<size_t>(group[row]);
    if (at >= sums.groups) throw std::out_of_range("group: wanted less than the groups");
    const Parts parts(numbers[row]);
    if (!parts.is_finite) {
      mark_infinite(parts, kSquared, sums.infinite[at]);
      continue;
    }
    const int exponent = kSquared ? 2 * parts.exponent : parts.exponent;
    add_digits(digits_of<kSquared>(parts.mantissa, exponent & 31),
               static_cast<size_t>((exponent >> 5) - sums.low),
               parts.negative && !kSquared ? -1 : 0, sums.limbs + at * sums.planes, sums.planes,
               outside);
  }
  if (outside != 0) throw std::out_of_range("numbers: wanted no bits outside of the limbs");
}

// Numbers of one exponent are added as whole numbers first: 2^21 squares of 53 bits fill 127 bits.
template <bool kSquared>
void add_to_one(const Column<const double> &numbers, const Limbs &sums) {
  constexpr size_t kRows = size_t{1} << 21, kExponents = 2048;
  int64_t outside = 0;
  for (size_t start = 0; start < numbers.size; start += kRows) {
    std::vector<SignedWide> totals(kExponents);
    const size_t end = std::min(start + kRows, numbers.size);
    for (size_t row = start; row < end; ++row) {
      const Parts parts(numbers[row]);
      if (!parts.is_finite) {
        mark_infinite(parts, kSquared, sums.infinite[0]);
        continue;
      }
      const auto mantissa = static_cast<int64_t>(parts.mantissa);
      const auto at = static_cast<size_t>(parts.exponent + 1075);
      if constexpr (kSquared) {
        totals[at] += SignedWide{mantissa} * mantissa;
      } else {
        totals[at] += parts.negative ? -mantissa : mantissa;
      }
    }
    for (size_t at = 0; at < kExponents; ++at) {
      if (totals[at] == 0) continue;
      const bool negative = totals[at] < 0;
      const int exponent = (static_cast<int>(at) - 1075) * (kSquared ? 2 : 1);
      auto digits = wide_digits(static_cast<Wide>(negative ? -totals[at] : totals[at]), exponent & 31);
      const auto first = static_cast<size_t>((exponent >> 5) - sums.low);
      // The highest limb also takes what the sum of many numbers has above it.
      const size_t above = sums.planes - first;
      if (above > 0 && above < digits.size()) {
        digits[above - 1] += digits[above] << 32;
        digits[above] = 0;
      }
      add_digits(digits, first, negative ? -1 : 0, sums.limbs, sums.planes, outside);
    }
  }
  if (outside != 0) throw std::out_of_range("numbers: wanted no bits outside of the limbs");
}

}  // namespace

BitSpan bit_span(const Column<const double> &numbers) {
  int lowest = INT_MAX, highest = INT_MIN;
  for (size_t row = 0; row < numbers.size; ++row) {
    const Parts parts(numbers[row]);
    if (!parts.is_finite || parts.mantissa == 0) continue;
    lowest = std::min(lowest, parts.exponent + std::countr_zero(parts.mantissa));
    highest = std::max(highest, parts.exponent + 63 - std::countl_zero(parts.mantissa));
  }
  return {lowest, highest, lowest > highest};
}

void add_exactly(const Column<const double> &numbers, const int64_t *group, bool squared,
                 const Limbs &sums) {
  if (group == nullptr && sums.groups != 1)
    throw std::out_of_range("group: wanted one group, or the group of each number");
  if (group == nullptr) {
    squared ? add_to_one<true>(numbers, sums) : add_to_one<false>(numbers, sums);
  } else {
    squared ? add_to_groups<true>(numbers, group, sums) : add_to_groups<false>(numbers, group, sums);
  }
}

}  // namespace plumbline
