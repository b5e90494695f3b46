// Streaming counts of a column's values. The hash tables use open addressing: a power of two of slots,
// linear probing from the upper bits of the hash, at most 5/8 full. Growing reads the old table in slot
// order, so it writes the new one almost sequentially.
//
// A counter is not thread-safe; different counters may run concurrently. Counts are ordered by count
// descending, on ties by value ascending, whatever the order of the input.
#pragma once

#include <memory>
#include <optional>

#include "arrays.h"
#include "memory.h"

namespace plumbline {

struct IntegerCounts {
  std::unique_ptr<int64_t[]> values, counts;
  size_t size = 0;
};

// 16 bytes a slot. The missing value, -2^63, is not counted.
class IntegerCounter {
 public:
  IntegerCounter();
  void add(Column<const int64_t> values);
  // Adds each value as many times as its count says.
  void add_counted(Column<const int64_t> values, const int64_t *counts);
  size_t size() const { return size_; }
  // The first `limit` values among those counted at least `minimum` times.
  IntegerCounts counts(uint64_t minimum, std::optional<size_t> limit) const;

 private:
  struct Slot {
    int64_t value;
    uint64_t count;  // 0: the slot is free
  };
  template <class Times>
  void add_all(Column<const int64_t> values, Times times);
  void grow();

  LargeArray<Slot> slots_;
  int shift_;
  size_t size_ = 0;
};

struct TextCounts {
  std::unique_ptr<int64_t[]> offsets, counts;
  std::unique_ptr<uint8_t[]> data;
  size_t size = 0, bytes = 0;
};

// 32 bytes a slot, plus the bytes of each distinct string. Empty strings are not counted.
class TextCounter {
 public:
  TextCounter();
  void add(const Strings &strings);
  // Adds each string as many times as its count says.
  void add_counted(const Strings &strings, const int64_t *counts);
  size_t size() const { return size_; }
  TextCounts counts(uint64_t minimum, std::optional<size_t> limit) const;

 private:
  struct Slot {
    uint64_t hash, count;  // count 0: the slot is free
    uint64_t offset, length;
  };
  void grow();
  template <class Times>
  void add_all(const Strings &strings, Times times);
  template <class Times>
  void add_block(const Strings &strings, size_t first, size_t last, Times times);

  LargeArray<Slot> slots_;
  LargeArray<uint8_t> bytes_;
  size_t bytes_used_ = 0;
  int shift_;
  size_t size_ = 0;
};

}  // namespace plumbline
