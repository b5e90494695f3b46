#include "distinct.h"

#include <algorithm>
#include <array>
#include <bit>

#include "hashes.h"
#include "memory.h"

namespace plumbline {
namespace {

constexpr size_t kBlock = 512;  // values hashed before they are looked up

struct Slot {
  uint64_t hash;
  uint64_t number;  // of the distinct value, plus 1; 0: the slot is free
};

// `hash(row)` and `same(row, other)` are of the rows' values. The table is at most half full.
template <class Hash, class Same>
Distinct distinct(size_t rows, Hash hash, Same same) {
  Distinct result{std::make_unique_for_overwrite<int64_t[]>(rows),
                  std::make_unique_for_overwrite<int64_t[]>(rows)};
  const int bits = std::max(10, static_cast<int>(std::bit_width(rows)) + 1);
  const int shift = 64 - bits;
  LargeArray<Slot> slots(size_t{1} << bits);
  const size_t mask = slots.size() - 1;
  std::array<uint64_t, kBlock> hashes;
  for (size_t first = 0; first < rows; first += kBlock) {
    const size_t block = std::min(kBlock, rows - first);
    for (size_t i = 0; i < block; ++i) {
      hashes[i] = hash(first + i);
      __builtin_prefetch(slots.data() + (hashes[i] >> shift), 1);
    }
    for (size_t i = 0; i < block; ++i) {
      const size_t row = first + i;
      size_t at = hashes[i] >> shift;
      while (slots[at].number != 0 &&
             !(slots[at].hash == hashes[i] &&
               same(static_cast<size_t>(result.rows[slots[at].number - 1]), row)))
        at = (at + 1) & mask;
      if (slots[at].number == 0) {
        result.rows[result.size++] = static_cast<int64_t>(row);
        slots[at] = {hashes[i], result.size};
      }
      result.index[row] = static_cast<int64_t>(slots[at].number) - 1;
    }
  }
  return result;
}

}  // namespace

Distinct distinct_integers(Column<const int64_t> values) {
  return distinct(
      values.size, [&](size_t row) { return integer_hash(values[row]); },
      [&](size_t one, size_t other) { return values[one] == values[other]; });
}

Distinct distinct_texts(const Strings &strings) {
  return distinct(
      strings.size, [&](size_t row) { return text_hash(strings.at(row), strings.length(row)); },
      [&](size_t one, size_t other) {
        return strings.length(one) == strings.length(other) &&
               same_bytes(strings.at(one), strings.at(other), strings.length(one));
      });
}

}  // namespace plumbline
