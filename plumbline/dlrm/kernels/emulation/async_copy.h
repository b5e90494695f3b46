// `cp.async`: copies from global to shared memory that arrive when their thread waits for them. As
// late as the hardware may be, so that a read that comes too early is found under every schedule.
#pragma once

#include <cstddef>
#include <cstdint>

#include "memory.h"

namespace plumbline {
namespace emulation {

// Begins a copy of the running thread, which belongs to its next group.
void begin_copy(void *to, const void *from, size_t bytes);
void commit_copies();
// Ends the running thread's copies but for those of its last `pending` groups.
void wait_for_copies(size_t pending);

// For a new block.
void forget_copies();

}  // namespace emulation

// Copies 16 bytes, aligned to as many, if `wanted`.
template <typename T>
void cp_async_16(const Shared<T> &to, int64_t to_first, const Global<const T> &from,
                 int64_t from_first, bool wanted) {
  if (!wanted) return;
  constexpr size_t kBytes = 16;
  emulation::begin_copy(to.at(to_first, kBytes / sizeof(T), kBytes),
                        from.at(from_first, kBytes / sizeof(T), kBytes), kBytes);
}

inline void cp_async_commit() { emulation::commit_copies(); }

template <int Pending>
void cp_async_wait() {
  emulation::wait_for_copies(Pending);
}

}  // namespace plumbline
