// Look-ups in embedding tables that share one buffer, and the optimizer on their rows.
//
// Contract (in full: plumbline/dlrm/ops/embedding/contract.py): pointers are to contiguous memory
// that the caller has checked. Empty inputs, lists and batches are valid. An id must be in [0,
// cardinality) of its column; otherwise the function returns the first such id. The result has the
// same bits for any number of threads. Look-ups of single ids are exact up to the conversion of the
// dtype; sums are float32, in order, and differ between instruction sets by their rounding.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "embedding_loops.h"
#include "instruction_set.h"

namespace plumbline {

// An id outside its column's table; `position` is the column's index among all id columns.
struct BadId {
  int64_t position, row, id, cardinality;
};

EmbeddingLoops embedding_loops(InstructionSet set);

std::optional<BadId> gather(const EmbeddingLoops &loops, const Rows &rows, const Singles &singles,
                            const Result &result, int threads);

// Throws std::invalid_argument if the offsets do not rise from 0 to the number of ids.
void require_offsets(const Bag &bag);

// Throws as `require_offsets` does.
std::optional<BadId> pool(const EmbeddingLoops &loops, const Rows &rows, const Bag &bag, Pooling pooling,
                          const Result &result, int threads);

// Throws as `require_offsets` does, and std::length_error for a column with more than 2³² table
// rows or ids. If it throws, or an id is bad, nothing has changed.
std::optional<BadId> update(const EmbeddingLoops &loops, const Optimizer &optimizer,
                            const Singles &singles, const std::vector<Bag> &bags, bool mean,
                            int threads);

}  // namespace plumbline
