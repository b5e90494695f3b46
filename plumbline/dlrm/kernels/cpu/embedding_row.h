// Reading, converting and writing one row. Only for loops, see instruction_set.h.
#pragma once

#include <cstdint>
#include <cstring>

#include "lanes.h"

namespace plumbline {
namespace {

// Number of rows prefetched ahead; a power of two.
constexpr int64_t kAhead = 32;

constexpr int64_t kLine = 64;  // bytes of a cache line

// Prefetches to the L2 cache; L1 would overflow before the rows are used.
inline void prefetch(const void *start, int64_t bytes) {
  const uintptr_t end = reinterpret_cast<uintptr_t>(start) + static_cast<uintptr_t>(bytes);
  for (uintptr_t line = reinterpret_cast<uintptr_t>(start) & ~uintptr_t{kLine - 1}; line < end;
       line += kLine)
    __builtin_prefetch(reinterpret_cast<const void *>(line), 0, 2);
}

template <typename Row, typename Out>
inline void convert(const Row *row, Out *out, int64_t dim) {
  if constexpr (__is_same(Row, Out)) {
    std::memcpy(out, row, static_cast<size_t>(dim) * sizeof(Row));
  } else {
    for (int64_t d = 0; d < dim; d += kLanes) store(out + d, load(row + d, dim - d), dim - d);
  }
}

// Whether rows of `dim` numbers at `out` can be written with streaming stores.
template <typename Out>
inline bool can_be_streamed(const Out *out, int64_t dim) {
#if defined(__AVX2__)
  return reinterpret_cast<uintptr_t>(out) % 32 == 0 && dim % kLanes == 0;
#else
  (void)out, (void)dim;
  return false;
#endif
}

// As `convert`, with streaming stores; other threads may read the row only after
// `finish_streaming`.
template <typename Row, typename Out>
inline void stream(const Row *row, Out *out, int64_t dim) {
#if defined(__AVX2__)
  for (int64_t d = 0; d < dim; d += kLanes) {
    const auto values = narrowed(load(row + d), Out{});
    for (size_t part = 0; part < sizeof values / 32; ++part) {
      __m256i half;
      std::memcpy(&half, reinterpret_cast<const char *>(&values) + 32 * part, 32);
      _mm256_stream_si256(reinterpret_cast<__m256i *>(out + d) + part, half);
    }
  }
#else
  convert(row, out, dim);
#endif
}

inline void finish_streaming() {
#if defined(__AVX2__)
  _mm_sfence();
#endif
}

}  // namespace
}  // namespace plumbline
