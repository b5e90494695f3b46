// Memory of scoring: packed weights and scratch memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

namespace plumbline {

// An allocation of whole large pages if it needs at least a quarter of one, else of cache lines.
class Memory {
 public:
  explicit Memory(int64_t bytes);
  std::byte *data() const { return held_.get(); }

 private:
  struct Release {
    std::align_val_t alignment;
    void operator()(std::byte *memory) const { ::operator delete(memory, alignment); }
  };
  std::unique_ptr<std::byte, Release> held_;
};

// A pool of equal allocations, so that calls rarely allocate.
class MemoryPool {
 public:
  explicit MemoryPool(int64_t bytes_each) : bytes_(bytes_each) {}
  std::vector<Memory> take(int count);
  void give_back(std::vector<Memory> memories);

 private:
  int64_t bytes_;
  std::mutex mutex_;
  std::vector<Memory> free_;
};

// The allocations of one call, returned to the pool at its end.
class TakenMemory {
 public:
  TakenMemory(MemoryPool &pool, int count) : pool_(pool), memories_(pool.take(count)) {}
  ~TakenMemory() { pool_.give_back(std::move(memories_)); }
  TakenMemory(const TakenMemory &) = delete;
  TakenMemory &operator=(const TakenMemory &) = delete;
  std::byte *of(int thread) const { return memories_[static_cast<size_t>(thread)].data(); }

 private:
  MemoryPool &pool_;
  std::vector<Memory> memories_;
};

}  // namespace plumbline
