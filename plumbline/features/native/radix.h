// Radix sort of integers.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace plumbline {

inline constexpr int kDigitBits = 11;
inline constexpr size_t kDigits = size_t{1} << kDigitBits;

// Sorts by the lowest `bits` bits of key(element), ascending and stable. A digit that all keys share
// costs no pass. `scratch` has `size` elements; the result is in `elements`.
template <class T, class Key>
void radix_sort(T *elements, T *scratch, size_t size, int bits, Key key) {
  T *from = elements, *to = scratch;
  for (int shift = 0; shift < bits; shift += kDigitBits) {
    std::array<size_t, kDigits> next{};
    const auto digit = [&](const T &element) {
      return static_cast<size_t>(key(element) >> shift) & (kDigits - 1);
    };
    for (size_t i = 0; i < size; ++i) ++next[digit(from[i])];
    if (std::find(next.begin(), next.end(), size) != next.end()) continue;
    size_t total = 0;
    for (size_t &start : next) total += std::exchange(start, total);
    for (size_t i = 0; i < size; ++i) to[next[digit(from[i])]++] = from[i];
    std::swap(from, to);
  }
  if (from != elements) std::copy(from, from + size, elements);
}

inline void sort_integers(int64_t *values, size_t size) {
  if (size < 2048) {
    std::sort(values, values + size);
    return;
  }
  const auto scratch = std::make_unique_for_overwrite<int64_t[]>(size);
  radix_sort(values, scratch.get(), size, 64, [](int64_t value) {
    return static_cast<uint64_t>(value) ^ uint64_t{1} << 63;
  });
}

}  // namespace plumbline
