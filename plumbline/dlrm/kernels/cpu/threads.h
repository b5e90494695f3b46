// Index of the running thread, from 0 on. Not for loops, see instruction_set.h.
#pragma once

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace plumbline {

inline int this_thread() {
#if defined(_OPENMP)
  return omp_get_thread_num();
#else
  return 0;
#endif
}

}  // namespace plumbline
