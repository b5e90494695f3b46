// Blocks of rows that go through the whole network in one thread, and their scratch memory.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "counts.h"
#include "scoring_loops.h"
#include "scoring_memory.h"
#include "threads.h"

namespace plumbline {

// Rows whose embeddings are looked up at a time, so they stay in the caches until used.
constexpr int64_t kLookUpRows = 16;

// Rows of a block, so that their activations stay in the L2 cache together with a panel's weights.
inline int64_t rows_of_a_block(int64_t activation_bytes_each) {
  constexpr int64_t kActivationBytes = int64_t{448} << 10;
  return std::clamp<int64_t>(kActivationBytes / activation_bytes_each, kLookUpRows, kMostRows);
}

// Splits one allocation into parts that begin at cache lines.
class Parts {
 public:
  explicit Parts(std::byte *memory) : begin_(reinterpret_cast<uintptr_t>(memory)), at_(begin_) {}

  template <typename T>
  T *take(int64_t bytes) {
    const uintptr_t part = at_;
    at_ += static_cast<uintptr_t>(round_up(bytes, 64));
    return reinterpret_cast<T *>(part);
  }
  int64_t taken() const { return static_cast<int64_t>(at_ - begin_); }

 private:
  uintptr_t begin_, at_;
};

// Calls score_block(begin, end, scratch memory) for all rows in blocks of at most `most_rows`, in
// at most `threads` threads. Returns false if a call does; the others may then be left out.
template <class ScoreBlock>
bool score_in_blocks(int64_t rows, int64_t most_rows, int64_t multiply_adds_each, int threads,
                     MemoryPool &pool, const ScoreBlock &score_block) {
  constexpr int64_t kMultiplyAdds = 4'000'000, kFewestRows = 6;  // that justify another thread
  if (rows == 0) return true;
  const int64_t worth = std::min(rows * multiply_adds_each / kMultiplyAdds, rows / kFewestRows);
  threads = static_cast<int>(std::clamp<int64_t>(threads, 1, std::max<int64_t>(worth, 1)));
  const int64_t each = parts_of(rows, round_up(parts_of(rows, most_rows), threads));
  const int64_t blocks = parts_of(rows, each);
  const TakenMemory scratch(pool, threads);
  std::atomic<bool> good = true;
#pragma omp parallel for num_threads(threads) schedule(dynamic) if (threads > 1)
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t begin = block * each, end = std::min(rows, begin + each);
    if (good && !score_block(begin, end, scratch.of(this_thread()))) good = false;
  }
  return good;
}

}  // namespace plumbline
