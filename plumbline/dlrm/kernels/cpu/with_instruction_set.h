// Dispatch from an instruction set chosen at run time to the functions compiled for it.
#pragma once

#include <type_traits>

#include "instruction_set.h"

namespace plumbline {

// Calls `use` with the set as a type's value, and returns its result.
template <class Use>
auto with(InstructionSet set, const Use &use) {
  using Set = InstructionSet;
  switch (set) {
#if defined(__x86_64__)
    case Set::avx2:
      return use(std::integral_constant<Set, Set::avx2>{});
#if defined(PLUMBLINE_EMULATION)
    case Set::emulatedamx:
      return use(std::integral_constant<Set, Set::emulatedamx>{});
#endif
    case Set::avx512:
      return use(std::integral_constant<Set, Set::avx512>{});
    case Set::avx512bf16:
      return use(std::integral_constant<Set, Set::avx512bf16>{});
    case Set::amx:
      return use(std::integral_constant<Set, Set::amx>{});
#endif
    default:
      return use(std::integral_constant<Set, Set::plain>{});
  }
}

}  // namespace plumbline
