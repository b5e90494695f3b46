// Memory of tables.
#pragma once

#include <cstdint>

namespace plumbline {

// Ask the system to back memory that has not been touched yet with large pages: a look-up then
// finds its row without a walk through page tables that the caches do not hold. Nothing happens
// where there are none.
void advise_large_pages(uintptr_t start, uint64_t bytes);

}  // namespace plumbline
