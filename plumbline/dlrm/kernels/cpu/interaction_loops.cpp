#include "interaction_amx.h"
#include "interaction_avx2.h"
#include "interaction_avx512.h"
#include "interaction_avx512bf16.h"
#include "interaction_plain.h"

namespace plumbline::interaction {

template <>
Kernels loops<kInstructionSet>(Dtype dtype) {
  return Loops<kInstructionSet>::of(dtype);
}

}  // namespace plumbline::interaction
