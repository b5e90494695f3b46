// Index files: the position of a value in a vocabulary. plumbline/features/lookup/index_file.py
// describes the format; it checks header and size before an index is opened here. The contents are
// trusted (the plan checks the file's SHA-256), except that no search leaves the buckets.
//
// An open index only reads, so any number of threads may use it at once.
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
  uint32_t positions[kBucketSlots + 1];  // position + 1; 0: the slot is free; the last is unused
};
static_assert(sizeof(Bucket) == 64);

// Write the index of distinct values. Throws std::invalid_argument for a value that may not be there,
// std::system_error where the file cannot be written.
void build_integer_index(const std::string &file, Column<const int64_t> values);
void build_text_index(const std::string &file, const Strings &strings);

// Bit i: slot i of the bucket has this key.
inline uint32_t matches(const Bucket &bucket, uint64_t key) {
  uint32_t found = 0;
  for (uint32_t slot = 0; slot < kBucketSlots; ++slot)
    found |= static_cast<uint32_t>(bucket.keys[slot] == key) << slot;
  return found;
}

// The first position with this key in the buckets from `bucket` on, or -1.
template <class Matches>
[[gnu::always_inline]] inline int64_t search(const Bucket *bucket, uint64_t key, const Bucket *end,
                                             Matches matches) {
  for (;;) {
    const uint32_t found = matches(*bucket, key);
    if (found != 0) {  // a free slot has its key too, and position 0
      const uint32_t position = bucket->positions[std::countr_zero(found)];
      if (position != 0) return static_cast<int64_t>(position) - 1;
    }
    if (bucket->positions[kBucketSlots - 1] == 0 || ++bucket == end) return -1;
  }
}

class Index {
 public:
  // What the header says; `count` values.
  struct Shape {
    bool is_text;
    size_t count, homes, buckets, data_bytes;
    size_t file_bytes() const;
  };

  // Maps the file. Throws std::system_error or, where the size is another one, std::runtime_error.
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

  // The position, or -1. -2^63 is never there.
  int64_t find(uint64_t hash, int64_t value) const {
    return search(home(hash), static_cast<uint64_t>(value), end_, matches);
  }

  // The first position whose string has this hash, or -1: most likely the one that is looked for.
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

  // Whole columns; out: as long as the values.
  void positions(Column<const int64_t> values, int64_t *out) const;
  void positions(const Strings &strings, int64_t *out) const;

 private:
  Shape shape_;
  void *mapped_ = nullptr;
  const Bucket *buckets_ = nullptr, *end_ = nullptr;
  Strings strings_;
};

}  // namespace plumbline
