#include "scoring_memory.h"

#include <iterator>

#include "counts.h"
#include "embedding_memory.h"

namespace plumbline {
namespace {

constexpr int64_t kLine = 64;
constexpr int64_t kLargePage = int64_t{2} << 20;

// Allocations from here on fill whole large pages: a call reads all of them.
constexpr int64_t kWorthALargePage = kLargePage / 4;

}  // namespace

Memory::Memory(int64_t bytes) {
  if (bytes >= kWorthALargePage) bytes = round_up(bytes, kLargePage);
  const std::align_val_t alignment{static_cast<size_t>(bytes < kLargePage ? kLine : kLargePage)};
  held_ = {static_cast<std::byte *>(::operator new(static_cast<size_t>(bytes), alignment)),
           Release{alignment}};
  if (bytes >= kLargePage) advise_large_pages(reinterpret_cast<uintptr_t>(data()), bytes);
}

std::vector<Memory> MemoryPool::take(int count) {
  std::vector<Memory> taken;
  taken.reserve(static_cast<size_t>(count));
  {
    const std::lock_guard lock(mutex_);
    for (; !free_.empty() && taken.size() < static_cast<size_t>(count); free_.pop_back())
      taken.push_back(std::move(free_.back()));
  }
  while (taken.size() < static_cast<size_t>(count)) taken.emplace_back(bytes_);
  return taken;
}

void MemoryPool::give_back(std::vector<Memory> memories) {
  const std::lock_guard lock(mutex_);
  std::move(memories.begin(), memories.end(), std::back_inserter(free_));
}

}  // namespace plumbline
