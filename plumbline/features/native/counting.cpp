#include "counting.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "hashes.h"
#include "radix.h"

namespace plumbline {
namespace {

constexpr size_t kBlock = 512;     // values hashed before they are looked up
constexpr size_t kAhead = 24;      // slots prefetched ahead
constexpr int kFirstShift = 64 - 12;
constexpr size_t kGroups = 1 << 16;  // lower counts have a group each

size_t slots_of(int shift) { return size_t{1} << (64 - shift); }

// Whether `more` values could fill more than 5/8 of the table.
bool is_full(size_t size, size_t more, int shift) {
  return (size + more) > slots_of(shift) / 8 * 5;
}

// How many times each row is counted.
struct Once {
  uint64_t operator()(size_t) const { return 1; }
};
struct Given {
  const int64_t *counts;
  uint64_t operator()(size_t row) const { return static_cast<uint64_t>(counts[row]); }
};

// Groups of slots with equal counts, the highest count first. All counts from kGroups - 1 on share the
// first group.
template <class Slot>
class Groups {
 public:
  Groups(const LargeArray<Slot> &slots, uint64_t minimum) : sizes_(kGroups) {
    for (size_t index = 0; index < slots.size(); ++index) {
      const uint64_t count = slots[index].count;
      if (count != 0 && count >= minimum) ++sizes_[group(count)];
    }
  }
  static size_t group(uint64_t count) {
    return kGroups - 1 - std::min<uint64_t>(count, kGroups - 1);
  }
  // Drops the groups that lie entirely beyond the limit. Returns the number of slots kept.
  size_t cut(std::optional<size_t> limit) {
    starts_.assign(kGroups + 1, 0);
    size_t total = 0, kept = 0;
    for (; kept < kGroups; ++kept) {
      starts_[kept] = total;
      if (limit && total >= *limit) break;
      total += sizes_[kept];
    }
    kept_ = kept;
    starts_[kept] = total;
    return total;
  }
  bool keeps(uint64_t count, uint64_t minimum) const {
    return count != 0 && count >= minimum && group(count) < kept_;
  }
  size_t kept() const { return kept_; }
  size_t start(size_t group) const { return starts_[group]; }
  const std::vector<size_t> &starts() const { return starts_; }

 private:
  std::vector<size_t> sizes_, starts_;
  size_t kept_ = 0;
};

}  // namespace

IntegerCounter::IntegerCounter() : slots_(slots_of(kFirstShift)), shift_(kFirstShift) {}

void IntegerCounter::add(Column<const int64_t> values) { add_all(values, Once{}); }

void IntegerCounter::add_counted(Column<const int64_t> values, const int64_t *counts) {
  add_all(values, Given{counts});
}

template <class Times>
void IntegerCounter::add_all(Column<const int64_t> values, Times times) {
  std::array<uint64_t, kBlock + kAhead> hashes;
  for (size_t first = 0; first < values.size; first += kBlock) {
    const size_t block = std::min(kBlock, values.size - first);
    if (is_full(size_, block, shift_)) grow();
    for (size_t i = 0; i < block; ++i) hashes[i] = integer_hash(values[first + i]);
    for (size_t i = block; i < block + kAhead; ++i) hashes[i] = hashes[block - 1];
    Slot *const slots = slots_.data();
    const size_t mask = slots_.size() - 1;
    const int shift = shift_;
    size_t added = 0;
    for (size_t i = 0; i < std::min(kAhead, block); ++i)
      __builtin_prefetch(slots + (hashes[i] >> shift), 1);
    for (size_t i = 0; i < block; ++i) {
      __builtin_prefetch(slots + (hashes[i + kAhead] >> shift), 1);
      const int64_t value = values[first + i];
      const uint64_t count = times(first + i);
      if (value == kNullInt64 || count == 0) continue;
      for (size_t index = hashes[i] >> shift;; index = (index + 1) & mask) {
        Slot &slot = slots[index];
        if (slot.value == value) {  // a free slot has value 0 and count 0
          added += slot.count == 0;
          slot.count += count;
          break;
        }
        if (slot.count == 0) {
          slot = {value, count};
          ++added;
          break;
        }
      }
    }
    size_ += added;
  }
}

void IntegerCounter::grow() {
  const int shift = shift_ - 1;
  LargeArray<Slot> grown(slots_of(shift));
  const size_t mask = grown.size() - 1;
  for (size_t from = 0; from < slots_.size(); ++from) {
    const Slot &slot = slots_[from];
    if (slot.count == 0) continue;
    size_t index = integer_hash(slot.value) >> shift;
    while (grown[index].count != 0) index = (index + 1) & mask;
    grown[index] = slot;
  }
  slots_ = std::move(grown);
  shift_ = shift;
}

IntegerCounts IntegerCounter::counts(uint64_t minimum, std::optional<size_t> limit) const {
  Groups<Slot> groups(slots_, minimum);
  const size_t total = groups.cut(limit);
  IntegerCounts result{std::make_unique_for_overwrite<int64_t[]>(total),
                      std::make_unique_for_overwrite<int64_t[]>(total), total};
  std::vector<size_t> next = groups.starts();
  for (size_t index = 0; index < slots_.size(); ++index) {
    const Slot &slot = slots_[index];
    if (!groups.keeps(slot.count, minimum)) continue;
    const size_t at = next[Groups<Slot>::group(slot.count)]++;
    result.values[at] = slot.value;
    result.counts[at] = static_cast<int64_t>(slot.count);
  }
  const size_t high = groups.kept() > 0 ? groups.start(1) : 0;
  std::vector<std::pair<int64_t, int64_t>> top(high);
  for (size_t i = 0; i < high; ++i) top[i] = {-result.counts[i], result.values[i]};
  std::sort(top.begin(), top.end());
  for (size_t i = 0; i < high; ++i) {
    result.counts[i] = -top[i].first;
    result.values[i] = top[i].second;
  }
  for (size_t group = 1; group < groups.kept(); ++group)
    sort_integers(result.values.get() + groups.start(group),
                  groups.start(group + 1) - groups.start(group));
  if (limit) result.size = std::min(result.size, *limit);
  return result;
}

TextCounter::TextCounter() : slots_(slots_of(kFirstShift)), shift_(kFirstShift) {}

void TextCounter::add(const Strings &strings) { add_all(strings, Once{}); }

void TextCounter::add_counted(const Strings &strings, const int64_t *counts) {
  add_all(strings, Given{counts});
}

template <class Times>
void TextCounter::add_all(const Strings &strings, Times times) {
  for (size_t first = 0; first < strings.size; first += kBlock) {
    const size_t last = std::min(first + kBlock, strings.size);
    if (is_full(size_, last - first, shift_)) grow();
    const auto bytes = static_cast<size_t>(strings.offsets[last] - strings.offsets[first]);
    if (bytes_used_ + bytes > bytes_.size())
      bytes_.grow(std::max(bytes_used_ + bytes, bytes_.size() * 2));
    add_block(strings, first, last, times);
  }
}

template <class Times>
void TextCounter::add_block(const Strings &strings, size_t first, size_t last, Times times) {
  std::array<uint64_t, kBlock> hashes;
  Slot *const slots = slots_.data();
  const size_t mask = slots_.size() - 1, block = last - first;
  for (size_t i = 0; i < block; ++i) {
    hashes[i] = text_hash(strings.at(first + i), strings.length(first + i));
    __builtin_prefetch(slots + (hashes[i] >> shift_), 1);
  }
  for (size_t i = 0; i < block; ++i) {
    if (i + kAhead < block) {  // the string it will be compared with
      const Slot &slot = slots[hashes[i + kAhead] >> shift_];
      __builtin_prefetch(bytes_.data() + slot.offset);
    }
    const uint64_t hash = hashes[i];
    const size_t length = strings.length(first + i);
    const uint8_t *const data = strings.at(first + i);
    const uint64_t count = times(first + i);
    if (length == 0 || count == 0) continue;
    for (size_t index = hash >> shift_;; index = (index + 1) & mask) {
      Slot &slot = slots[index];
      if (slot.count == 0) {
        std::memcpy(bytes_.data() + bytes_used_, data, length);
        slot = {hash, count, bytes_used_, length};
        bytes_used_ += length;
        ++size_;
        break;
      }
      if (slot.hash == hash && slot.length == length &&
          same_bytes(bytes_.data() + slot.offset, data, length)) {
        slot.count += count;
        break;
      }
    }
  }
}

void TextCounter::grow() {
  const int shift = shift_ - 1;
  LargeArray<Slot> grown(slots_of(shift));
  const size_t mask = grown.size() - 1;
  for (size_t from = 0; from < slots_.size(); ++from) {
    const Slot &slot = slots_[from];
    if (slot.count == 0) continue;
    size_t index = slot.hash >> shift;
    while (grown[index].count != 0) index = (index + 1) & mask;
    grown[index] = slot;
  }
  slots_ = std::move(grown);
  shift_ = shift;
}

TextCounts TextCounter::counts(uint64_t minimum, std::optional<size_t> limit) const {
  struct Entry {
    uint64_t prefix;  // the first eight bytes, big endian, so that it sorts as the text does
    size_t slot;
  };
  Groups<Slot> groups(slots_, minimum);
  std::vector<Entry> entries(groups.cut(limit));
  std::vector<size_t> next = groups.starts();
  for (size_t index = 0; index < slots_.size(); ++index) {
    const Slot &slot = slots_[index];
    if (!groups.keeps(slot.count, minimum)) continue;
    const uint64_t word = short_word(bytes_.data() + slot.offset, std::min<size_t>(slot.length, 8));
    entries[next[Groups<Slot>::group(slot.count)]++] = {__builtin_bswap64(word), index};
  }
  const auto by_text = [this](const Entry &one, const Entry &other) {
    if (one.prefix != other.prefix) return one.prefix < other.prefix;
    const Slot &left = slots_[one.slot], &right = slots_[other.slot];
    const int order = std::memcmp(bytes_.data() + left.offset, bytes_.data() + right.offset,
                                  std::min(left.length, right.length));
    return order != 0 ? order < 0 : left.length < right.length;
  };
  const auto by_count = [&](const Entry &one, const Entry &other) {
    const uint64_t left = slots_[one.slot].count, right = slots_[other.slot].count;
    return left != right ? left > right : by_text(one, other);
  };
  const auto start = [&](size_t group) {
    return entries.begin() + static_cast<ptrdiff_t>(groups.start(group));
  };
  if (groups.kept() > 0) std::sort(start(0), start(1), by_count);
  for (size_t group = 1; group < groups.kept(); ++group)
    std::sort(start(group), start(group + 1), by_text);
  if (limit && entries.size() > *limit) entries.resize(*limit);

  TextCounts result{std::make_unique_for_overwrite<int64_t[]>(entries.size() + 1),
                   std::make_unique_for_overwrite<int64_t[]>(entries.size()),
                   nullptr, entries.size(), 0};
  result.offsets[0] = 0;
  for (size_t i = 0; i < entries.size(); ++i) {
    const Slot &slot = slots_[entries[i].slot];
    result.bytes += slot.length;
    result.offsets[i + 1] = static_cast<int64_t>(result.bytes);
    result.counts[i] = static_cast<int64_t>(slot.count);
  }
  result.data = std::make_unique_for_overwrite<uint8_t[]>(result.bytes);
  for (size_t i = 0; i < entries.size(); ++i) {
    const Slot &slot = slots_[entries[i].slot];
    std::memcpy(result.data.get() + result.offsets[i], bytes_.data() + slot.offset, slot.length);
  }
  return result;
}

}  // namespace plumbline
