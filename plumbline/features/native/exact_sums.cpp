#include "exact_sums.h"

#include <algorithm>
#include <array>
#include <bit>
#include <climits>
#include <stdexcept>

namespace plumbline {
namespace {

__extension__ using Wide = unsigned __int128;

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

std::array<uint64_t, 5> square_digits(uint64_t mantissa, int shift) {
  const Wide square = Wide{mantissa} * mantissa;
  const Wide lower = Wide{static_cast<uint64_t>(square)} << shift;
  const Wide upper = (Wide{static_cast<uint64_t>(square >> 64)} << shift) + (lower >> 64);
  return {static_cast<uint64_t>(lower) & kDigit, static_cast<uint64_t>(lower >> 32) & kDigit,
          static_cast<uint64_t>(upper) & kDigit, static_cast<uint64_t>(upper >> 32) & kDigit,
          static_cast<uint64_t>(upper >> 64)};
}

template <bool kSquared>
void add(const Column<const double> &numbers, const int64_t *group, const Limbs &sums) {
  for (size_t row = 0; row < numbers.size; ++row) {
    const auto at = static_cast<size_t>(group == nullptr ? 0 : group[row]);
    if (at >= sums.groups) throw std::out_of_range("group: wanted less than the groups");
    const Parts parts(numbers[row]);
    if (!parts.is_finite) {
      if ((parts.mantissa & kFraction) == 0)
        sums.infinite[at] |= parts.negative && !kSquared ? 2 : 1;
      continue;
    }
    const int exponent = kSquared ? 2 * parts.exponent : parts.exponent;
    const auto first = static_cast<size_t>((exponent >> 5) - sums.low);
    const auto parted = [&] {
      if constexpr (kSquared) return square_digits(parts.mantissa, exponent & 31);
      else return digits(parts.mantissa, exponent & 31);
    }();
    const int64_t sign = parts.negative && !kSquared ? -1 : 0;
    int64_t *const limbs = sums.limbs + at * sums.planes;
    for (size_t digit = 0; digit < parted.size(); ++digit) {
      if (parted[digit] == 0) continue;
      if (first + digit >= sums.planes) throw std::out_of_range("numbers: wanted bits in the limbs");
      limbs[first + digit] += (static_cast<int64_t>(parted[digit]) ^ sign) - sign;
    }
  }
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
  if (squared) {
    add<true>(numbers, group, sums);
  } else {
    add<false>(numbers, group, sums);
  }
}

}  // namespace plumbline
