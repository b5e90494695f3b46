// A column's ids in the order that their rows have in the table.
#pragma once

#include <cstdint>

#include "embedding_loops.h"

namespace plumbline {

// Sort by id, stably; ids are below `cardinality`, which is at most 2³². Both arrays have `count`
// occurrences; returns the one of them that the result is in.
Occurrence *sort_by_id(Occurrence *occurrences, Occurrence *scratch, int64_t count,
                       int64_t cardinality);

}  // namespace plumbline
