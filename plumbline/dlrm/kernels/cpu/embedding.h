// Look-ups in embedding tables that lie in one buffer, and the optimizer on their rows. The
// contract is in plumbline/dlrm/ops/embedding/contract.py.
//
// Pointers are to contiguous memory that the caller has checked; nothing here depends on the number
// of threads but the time.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "embedding_loops.h"
#include "instruction_set.h"

namespace plumbline {

// An id that its column's table has no row for; `position` is the column's among all id columns.
struct BadId {
  int64_t position, row, id, cardinality;
};

EmbeddingLoops embedding_loops(InstructionSet set);

std::optional<BadId> gather(const EmbeddingLoops &loops, const Rows &rows, const Singles &singles,
                            const Result &result, int threads);

// Throws std::invalid_argument where the offsets do not rise from 0 to the number of ids.
void require_offsets(const Bag &bag);

// Throws as `require_offsets` does.
std::optional<BadId> pool(const EmbeddingLoops &loops, const Rows &rows, const Bag &bag, bool mean,
                          const Result &result, int threads);

// Throws as `require_offsets` does, and std::length_error for a column with more than 2³² rows in
// the table, or ids in the batch. Nothing is changed then, nor where an id is bad.
std::optional<BadId> update(const EmbeddingLoops &loops, const Optimizer &optimizer,
                            const Singles &singles, const std::vector<Bag> &bags, bool mean,
                            int threads);

}  // namespace plumbline
