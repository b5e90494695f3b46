// Hash functions: those of pandas, and those of the counters and index files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "arrays.h"

namespace plumbline {

inline constexpr int64_t kNullInt64 = INT64_MIN;

// SplitMix64's finaliser. pandas.util.hash_array hashes numbers with it, and mixes string hashes.
inline uint64_t pandas_mix(uint64_t value) {
  value ^= value >> 30;
  value *= 0xBF58476D1CE4E5B9u;
  value ^= value >> 27;
  value *= 0x94D049BB133111EBu;
  return value ^ value >> 31;
}

// pandas.util.hash_array of a string in UTF-8: SipHash-2-4 with pandas' key, mixed.
uint64_t pandas_text_hash(const uint8_t *data, size_t length);

// Hash a column.
void pandas_integer_hashes(Column<const int64_t> values, uint64_t *hashes);
void pandas_number_hashes(Column<const double> values, uint64_t *hashes);

// The hash of integers in counters and index files. Its upper bits, the better mixed ones, select the
// slot.
inline uint64_t integer_hash(int64_t value) {
  auto hash = static_cast<uint64_t>(value);
  hash ^= hash >> 32;
  hash *= 0x9E3779B97F4A7C15u;
  hash ^= hash >> 29;
  return hash * 0xD1342543DE82EF95u;
}

// The first eight bytes as a little-endian word, padded with zeros. Never reads past data + length.
inline uint64_t short_word(const uint8_t *data, size_t length) {
  uint64_t word = 0;
  if (length >= 8) {
    std::memcpy(&word, data, 8);
  } else if (length >= 4) {
    uint32_t head, tail;
    std::memcpy(&head, data, 4);
    std::memcpy(&tail, data + length - 4, 4);
    word = head | static_cast<uint64_t>(tail) << (8 * (length - 4));
  } else if (length > 0) {
    word = data[0] | static_cast<uint64_t>(data[length / 2]) << (8 * (length / 2)) |
           static_cast<uint64_t>(data[length - 1]) << (8 * (length - 1));
  }
  return word;
}

// The hash of strings in counters and index files: over words of eight bytes, the last one padded
// with zeros.
inline uint64_t text_hash(const uint8_t *data, size_t length) {
  uint64_t hash = length * 0x9E3779B97F4A7C15u;
  size_t done = 0;
  do {
    hash = (hash ^ short_word(data + done, length - done)) * 0xD1342543DE82EF95u;
    hash ^= hash >> 32;
    done += 8;
  } while (done < length);
  return hash * 0x9E3779B97F4A7C15u;
}

inline bool same_bytes(const uint8_t *one, const uint8_t *other, size_t length) {
  if (length <= 8) return short_word(one, length) == short_word(other, length);
  return std::memcmp(one, other, length) == 0;
}

}  // namespace plumbline
