// Memory of tables.
#pragma once

#include <cstdint>

namespace plumbline {

// Ask the system to back untouched memory with large pages, which saves look-ups page-table walks
// outside the caches. A no-op on systems without large pages.
void advise_large_pages(uintptr_t start, uint64_t bytes);

}  // namespace plumbline
