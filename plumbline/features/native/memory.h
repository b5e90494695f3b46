// Memory of large tables: zeroed, from mmap, in huge pages where available.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <new>
#include <utility>

namespace plumbline {

inline constexpr size_t kHugePage = size_t{2} << 20;

// `size` zeroed elements of a trivial type.
template <class T>
class LargeArray {
 public:
  LargeArray() = default;
  explicit LargeArray(size_t size) : size_(size) {
    if (size == 0) return;
    void *mapped = mmap(nullptr, bytes(size), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED) throw std::bad_alloc();
    data_ = static_cast<T *>(mapped);
    ask_for_huge_pages();
  }
  ~LargeArray() {
    if (data_ != nullptr) munmap(data_, bytes(size_));
  }
  LargeArray(LargeArray &&other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  LargeArray &operator=(LargeArray &&other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  LargeArray(const LargeArray &) = delete;
  LargeArray &operator=(const LargeArray &) = delete;

  // Grows to at least `size` elements in index, by mremap, so no second copy is alive.
  void grow(size_t size) {
    if (size <= size_) return;
    if (data_ == nullptr) {
      *this = LargeArray(size);
      return;
    }
    void *mapped = mremap(data_, bytes(size_), bytes(size), MREMAP_MAYMOVE);
    if (mapped == MAP_FAILED) throw std::bad_alloc();
    data_ = static_cast<T *>(mapped);
    size_ = size;
    ask_for_huge_pages();
  }

  T *data() { return data_; }
  const T *data() const { return data_; }
  T &operator[](size_t index) { return data_[index]; }
  const T &operator[](size_t index) const { return data_[index]; }
  size_t size() const { return size_; }

 private:
  static size_t bytes(size_t size) {
    const size_t exact = size * sizeof(T), unit = exact < kHugePage ? 4096 : kHugePage;
    return (exact + unit - 1) / unit * unit;
  }
  void ask_for_huge_pages() {
    if (bytes(size_) >= kHugePage) madvise(data_, bytes(size_), MADV_HUGEPAGE);
  }

  T *data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace plumbline
