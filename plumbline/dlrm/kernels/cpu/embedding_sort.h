// Sorts a column's ids.
#pragma once

#include <cstdint>

#include "embedding_loops.h"

namespace plumbline {

// Stable sort by id; ids are below `cardinality`, which is at most 2³². Both arrays have room for
// `count` occurrences; returns the array that holds the result.
Occurrence *sort_by_id(Occurrence *occurrences, Occurrence *scratch, int64_t count,
                       int64_t cardinality);

}  // namespace plumbline
