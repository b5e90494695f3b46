// Bounds-checked arrays of an emulated kernel.
//
// `Global<T>` is a device array as a kernel's parameter; `Shared<T>` is a part of a block's shared
// memory. Both are plain pointers under nvcc (cuda/device.cuh).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>

#include "block.h"

namespace plumbline {
namespace emulation {

// Fresh shared memory for a block: every byte holds 0xFF (a NaN in any float), unwritten.
void new_shared_memory(size_t bytes);
unsigned char *shared_memory(size_t offset, size_t bytes);

// Record an access of a thread, by default the running one. Fails if no barrier orders it after
// another thread's access to the same bytes, if it reads bytes that were never written, or if an
// asynchronous copy to them is under way.
void shared_read(const void *place, size_t bytes, const Thread &reader = thread());
void shared_write(const void *place, size_t bytes);

// The same for a copy that is under way from the one call to the other.
void shared_copy_begins(void *place, size_t bytes);
void shared_copy_ends(void *place, size_t bytes);

[[noreturn]] void fail_bounds(const char *memory, int64_t first, int64_t items, int64_t count);
[[noreturn]] void fail_alignment(const char *memory, int64_t first, size_t wanted);

template <typename T>
void check_access(const char *memory, const T *start, int64_t count, int64_t first, int64_t items,
                  size_t alignment = alignof(T)) {
  if (first < 0 || items < 0 || first + items > count) fail_bounds(memory, first, items, count);
  if (reinterpret_cast<uintptr_t>(start + first) % alignment != 0)
    fail_alignment(memory, first, alignment);
}

}  // namespace emulation

template <typename T>
class Global {
 public:
  Global(T *start, int64_t count) : start_(start), count_(count) {}

  operator Global<const T>() const { return Global<const T>(start_, count_); }

  T &operator[](int64_t index) const { return *at(index, 1, alignof(T)); }

  // Address of `items` items from `first` on, which must be aligned to `alignment` bytes.
  T *at(int64_t first, int64_t items, size_t alignment) const {
    emulation::check_access("global", start_, count_, first, items, alignment);
    return start_ + first;
  }

  explicit operator bool() const { return start_ != nullptr; }

 private:
  T *start_;
  int64_t count_;
};

// One item of shared memory, as returned by `Shared<T>::operator[]`.
template <typename T>
class SharedItem {
 public:
  explicit SharedItem(T *place) : place_(place) {}

  operator T() const {
    emulation::shared_read(place_, sizeof(T));
    return *place_;
  }
  SharedItem &operator=(T value) {
    emulation::shared_write(place_, sizeof(T));
    *place_ = value;
    return *this;
  }
  SharedItem &operator=(const SharedItem &other) { return *this = static_cast<T>(other); }
  SharedItem &operator+=(T value) { return *this = static_cast<T>(*this) + value; }

 private:
  T *place_;
};

template <typename T>
class Shared {
 public:
  Shared(T *start, int64_t count) : start_(start), count_(count) {}

  SharedItem<T> operator[](int64_t index) const { return SharedItem<T>(at(index, 1, alignof(T))); }

  // The rest of the array from `items` on, like pointer arithmetic.
  Shared operator+(int64_t items) const {
    emulation::check_access("shared", start_, count_, items, 0);
    return Shared(start_ + items, count_ - items);
  }

  T *at(int64_t first, int64_t items, size_t alignment) const {
    emulation::check_access("shared", start_, count_, first, items, alignment);
    return start_ + first;
  }

 private:
  T *start_;
  int64_t count_;
};

// The part of the block's shared memory that starts at a byte offset.
template <typename T>
Shared<T> shared_array(int64_t offset, int64_t count) {
  return Shared<T>(reinterpret_cast<T *>(emulation::shared_memory(offset, count * sizeof(T))),
                   count);
}

// Host side: an array argument of a kernel, with the number of items that it may access.
template <typename T>
Global<T> global(std::conditional_t<std::is_const_v<T>, const void *, void *> start,
                 int64_t count) {
  return Global<T>(static_cast<T *>(start), count);
}

// `Wide` holds several items of T: one access of sizeof(Wide) bytes, aligned to them.
template <typename Wide, typename T>
Wide load_wide(const Global<T> &array, int64_t first) {
  Wide value;
  std::memcpy(&value, array.at(first, sizeof(Wide) / sizeof(T), sizeof(Wide)), sizeof(Wide));
  return value;
}

template <typename Wide, typename T>
Wide load_wide(const Shared<T> &array, int64_t first) {
  const T *place = array.at(first, sizeof(Wide) / sizeof(T), sizeof(Wide));
  emulation::shared_read(place, sizeof(Wide));
  Wide value;
  std::memcpy(&value, place, sizeof(Wide));
  return value;
}

template <typename Wide, typename T>
void store_wide(const Global<T> &array, int64_t first, Wide value) {
  std::memcpy(array.at(first, sizeof(Wide) / sizeof(T), sizeof(Wide)), &value, sizeof(Wide));
}

template <typename Wide, typename T>
void store_wide(const Shared<T> &array, int64_t first, Wide value) {
  T *place = array.at(first, sizeof(Wide) / sizeof(T), sizeof(Wide));
  emulation::shared_write(place, sizeof(Wide));
  std::memcpy(place, &value, sizeof(Wide));
}

}  // namespace plumbline
