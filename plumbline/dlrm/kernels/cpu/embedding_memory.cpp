#include "embedding_memory.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace plumbline {

void advise_large_pages(uintptr_t start, uint64_t bytes) {
#if defined(__linux__)
  constexpr uintptr_t kPage = uintptr_t{2} << 20;
  const uintptr_t first = (start + kPage - 1) / kPage * kPage;
  const uintptr_t end = (start + bytes) / kPage * kPage;
  if (first < end) madvise(reinterpret_cast<void *>(first), end - first, MADV_HUGEPAGE);
#else
  (void)start, (void)bytes;
#endif
}

}  // namespace plumbline
