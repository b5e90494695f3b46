// Index files: look up the position of a value in a vocabulary.
// plumbline/features/lookup/index_file.py describes the format, and checks header and size before an
// index is opened here. The constructor checks every position and offset, so look-ups trust them, and a
// search never leaves the buckets.
//
// An open index is read-only, and thread-safe.
#pragma once

#include <bit>
#include <memory>
#include <string>

#include "arrays.h"
#include "hashes.h"

namespace plumbline {

inline constexpr size_t kBucketSlots = 5;

struct alignas(64) Bucket {
  uint64_t keys[kBucketSlots];           // the integer, or the string's hash
  uint32_t positions[kBucketSlots + 1];  // position + 1, 0 for a free slot; the last is unused
};
static_assert(sizeof(Bucket) == 64);

// Write the index of distinct values. Throws std::invalid_argument for a missing or repeated value, and
// std::system_error if the file cannot be written.
void build_integer_index(const std::string &file, Column<const int64_t> values);
void build_text_index(const std::string &file, const Strings &strings);

// Bit i is set if slot i of the bucket has this key.
inline uint32_t matches(const Bucket &bucket, uint64_t key) {
  uint32_t slots = 0;
  for (uint32_t slot = 0; slot < kBucketSlots; ++slot)
    slots |= static_cast<uint32_t>(bucket.keys[slot] == key) << slot;
  return slots;
}

// The first position with this key, searching from `bucket` on, or -1.
template <class Matches>
[[gnu::always_inline]] inline int64_t search(const Bucket *bucket, uint64_t key, const Bucket *end,
                                             Matches matches) {
  for (;;) {
    const uint32_t slots = matches(*bucket, key);
    if (slots != 0) {  // the key of a free slot may match; its position is 0
      const uint32_t position = bucket->positions[std::countr_zero(slots)];
      if (position != 0) return static_cast<int64_t>(position) - 1;
    }
    if (bucket->positions[kBucketSlots - 1] == 0 || ++bucket == end) return -1;
  }
}

class Index {
 public:
  // The header's fields; see index_file.py.
  struct Shape {
    bool is_text;
    size_t count, homes, buckets, data_bytes;
    size_t file_bytes() const;
  };

  // Maps the file. Throws std::system_error, or std::runtime_error if the file has another size, or
  // positions or offsets out of range.
  Index(const std::string &file, const Shape &shape);
  ~Index();
  Index(const Index &) = delete;
  Index &operator=(const Index &) = delete;

  bool is_text() const { return shape_.is_text; }
  size_t size() const { return shape_.count; }

  const Bucket *home(uint64_t hash) const {
    return buckets_ + ((hash >> 32) * shape_.homes >> 32);
  }
  void prefetch(uint64_t hash) const { __builtin_prefetch(home(hash)); }

  // The position, or -1; always -1 for -2^63.
  int64_t find(uint64_t hash, int64_t value) const {
    return search(home(hash), static_cast<uint64_t>(value), end_, matches);
  }

  // The first position whose string has this hash, or -1. Its string is almost always the one looked
  // up; is_at() confirms it.
  int64_t candidate(uint64_t hash) const { return find(hash, static_cast<int64_t>(hash)); }
  void prefetch_offset(int64_t position) const { __builtin_prefetch(strings_.offsets + position); }
  void prefetch_string(int64_t position) const {
    __builtin_prefetch(strings_.at(static_cast<size_t>(position)));
  }
  bool is_at(int64_t position, const uint8_t *data, size_t length) const {
    const auto row = static_cast<size_t>(position);
    return strings_.length(row) == length && same_bytes(strings_.at(row), data, length);
  }
  int64_t find(uint64_t hash, const uint8_t *data, size_t length) const;

  // Look up a column; `out` has one position per value.
  void positions(Column<const int64_t> values, int64_t *out) const;
  void positions(const Strings &strings, int64_t *out) const;

 private:
  bool positions_fit() const;
  bool offsets_fit() const;

  Shape shape_;
  void *mapped_ = nullptr;
  const Bucket *buckets_ = nullptr, *end_ = nullptr;
  Strings strings_;
};

}  // namespace plumbline
