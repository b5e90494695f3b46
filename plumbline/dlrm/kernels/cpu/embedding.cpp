#include "embedding.h"

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>

#include "counts.h"
#include "embedding_sort.h"
#include "with_instruction_set.h"

namespace plumbline {
namespace {

// Work per task: large enough to amortize scheduling, small enough to balance threads.
constexpr int64_t kIdsAtATime = 4096;
constexpr int64_t kListsAtATime = 512;

// The smaller of two indices of bad ids; -1 means none.
int64_t first_of(int64_t one, int64_t other) {
  if (one < 0 || other < 0) return std::max(one, other);
  return std::min(one, other);
}

BadId bad_single(const Singles &singles, int64_t index) {
  const int64_t column = index % singles.columns;
  return {singles.position[column], index / singles.columns, singles.ids[index],
          singles.cardinality[column]};
}

BadId bad_of_list(const Bag &bag, int64_t index) {
  const int64_t *after = std::upper_bound(bag.offsets, bag.offsets + bag.rows + 1, index);
  return {bag.position, after - bag.offsets - 1, bag.ids[index], bag.cardinality};
}

}  // namespace

EmbeddingLoops embedding_loops(InstructionSet set) {
  return with(set, [](auto compiled) { return embedding_loops<compiled()>(); });
}

void require_offsets(const Bag &bag) {
  bool fits = bag.offsets[0] == 0 && bag.offsets[bag.rows] == bag.count;
  for (int64_t row = 0; row < bag.rows; ++row) fits &= bag.offsets[row] <= bag.offsets[row + 1];
  if (!fits)
    throw std::invalid_argument("embedding: column " + std::to_string(bag.position) +
                                ": wanted offsets that rise from 0 to " +
                                std::to_string(bag.count) + ", its number of ids, got others");
}

std::optional<BadId> gather(const EmbeddingLoops &loops, const Rows &rows, const Singles &singles,
                            const Result &result, int threads) {
  const int64_t ids = singles.rows * singles.columns, parts = parts_of(ids, kIdsAtATime);
  int64_t bad = -1;
#pragma omp parallel for num_threads(threads) schedule(static) if (parts > 1)
  for (int64_t part = 0; part < parts; ++part) {
    const int64_t begin = part * kIdsAtATime, end = std::min(ids, begin + kIdsAtATime);
    const int64_t found = loops.gather(rows, singles, result, begin, end);
    if (found >= 0) {
#pragma omp critical(plumbline_embedding)
      bad = first_of(bad, found);
    }
  }
  if (bad < 0) return std::nullopt;
  return bad_single(singles, bad);
}

std::optional<BadId> pool(const EmbeddingLoops &loops, const Rows &rows, const Bag &bag, Pooling pooling,
                          const Result &result, int threads) {
  require_offsets(bag);
  const int64_t parts = parts_of(bag.rows, kListsAtATime);
  int64_t bad = -1;
#pragma omp parallel num_threads(threads) if (parts > 1)
  {
    const auto sum = std::make_unique<float[]>(static_cast<size_t>(rows.dim + kScratch));
#pragma omp for schedule(dynamic)
    for (int64_t part = 0; part < parts; ++part) {
      const int64_t begin = part * kListsAtATime, end = std::min(bag.rows, begin + kListsAtATime);
      const int64_t found = loops.pool(rows, bag, pooling, result, begin, end, sum.get());
      if (found >= 0) {
#pragma omp critical(plumbline_embedding)
        bad = first_of(bad, found);
      }
    }
  }
  if (bad < 0) return std::nullopt;
  return bad_of_list(bag, bad);
}

}  // namespace plumbline
