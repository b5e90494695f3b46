#include <algorithm>
#include <memory>
#include <stdexcept>

#include "embedding.h"
#include "embedding_sort.h"

namespace plumbline {
namespace {

// Occurrences per task.
constexpr int64_t kAtATime = 2048;

constexpr int64_t kMost = int64_t{1} << 32;

// One column's share of the scratch memory and of the tasks.
struct Work {
  int64_t count, cardinality;
  Occurrence *occurrences, *scratch;
  int64_t first_part;
  Column column;
  std::optional<BadId> bad;
};

int64_t parts_of(const Work &work) { return (work.count + kAtATime - 1) / kAtATime; }

void fill(Work &work, const Singles &singles, int64_t column) {
  for (int64_t row = 0; row < singles.rows; ++row) {
    const int64_t id = singles.ids[row * singles.columns + column];
    if (id < 0 || id >= work.cardinality) {
      work.bad = BadId{work.column.position, row, id, work.cardinality};
      return;
    }
    work.occurrences[row] = {static_cast<uint32_t>(id), static_cast<uint32_t>(row)};
  }
}

void fill(Work &work, const Bag &bag) {
  for (int64_t row = 0; row < bag.rows; ++row)
    for (int64_t index = bag.offsets[row]; index < bag.offsets[row + 1]; ++index) {
      const int64_t id = bag.ids[index];
      if (id < 0 || id >= work.cardinality) {
        work.bad = BadId{work.column.position, row, id, work.cardinality};
        return;
      }
      work.occurrences[index] = {static_cast<uint32_t>(id), static_cast<uint32_t>(row)};
    }
}

// The first occurrence at or after `index` whose id differs from its predecessor's.
int64_t next_start(const Work &work, int64_t index) {
  const Occurrence *occurrences = work.column.occurrences;
  if (index >= work.count) return work.count;
  while (index > 0 && index < work.count && occurrences[index].id == occurrences[index - 1].id)
    ++index;
  return index;
}

std::vector<Work> plan(const Singles &singles, const std::vector<Bag> &bags, bool mean) {
  std::vector<Work> works;
  for (int64_t column = 0; column < singles.columns; ++column)
    works.push_back({singles.rows, singles.cardinality[column], nullptr, nullptr, 0,
                     {nullptr, nullptr, singles.first_row[column], singles.position[column]}, {}});
  for (const Bag &bag : bags) {
    require_offsets(bag);
    works.push_back({bag.count, bag.cardinality, nullptr, nullptr, 0,
                     {nullptr, mean ? bag.offsets : nullptr, bag.first_row, bag.position}, {}});
  }
  for (const Work &work : works)
    if (std::max({work.count, work.cardinality, singles.rows}) > kMost)
      throw std::length_error("embedding: more than 2^32 rows of a table, or ids of a column");
  return works;
}

}  // namespace

std::optional<BadId> update(const EmbeddingLoops &loops, const Optimizer &optimizer,
                            const Singles &singles, const std::vector<Bag> &bags, bool mean,
                            int threads) {
  std::vector<Work> works = plan(singles, bags, mean);
  int64_t total = 0, parts = 0;
  for (Work &work : works) {
    work.first_part = parts;
    total += work.count;
    parts += parts_of(work);
  }
  const std::unique_ptr<Occurrence[]> memory(new Occurrence[static_cast<size_t>(2 * total)]);
  Occurrence *free = memory.get();
  for (Work &work : works) {
    work.occurrences = free;
    work.scratch = free + work.count;
    free += 2 * work.count;
  }
  const auto columns = static_cast<int64_t>(works.size());
#pragma omp parallel for num_threads(threads) schedule(dynamic) if (parts > 1)
  for (int64_t index = 0; index < columns; ++index) {
    Work &work = works[static_cast<size_t>(index)];
    if (index < singles.columns)
      fill(work, singles, index);
    else
      fill(work, bags[static_cast<size_t>(index - singles.columns)]);
    if (!work.bad)
      work.column.occurrences =
          sort_by_id(work.occurrences, work.scratch, work.count, work.cardinality);
  }
  for (const Work &work : works)
    if (work.bad) return work.bad;
#pragma omp parallel num_threads(threads) if (parts > 1)
  {
    const auto sum = std::make_unique<float[]>(static_cast<size_t>(optimizer.dim + kScratch));
#pragma omp for schedule(dynamic)
    for (int64_t part = 0; part < parts; ++part) {
      const auto after = std::upper_bound(
          works.begin(), works.end(), part,
          [](int64_t wanted, const Work &work) { return wanted < work.first_part; });
      const Work &work = *(after - 1);
      const int64_t begin = (part - work.first_part) * kAtATime;
      loops.update(optimizer, work.column, next_start(work, begin),
                   next_start(work, begin + kAtATime), sum.get());
    }
  }
  return std::nullopt;
}

}  // namespace plumbline
