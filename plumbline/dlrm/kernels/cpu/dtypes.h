// The dtypes of the kernels, and the storage of the 16-bit ones. plumbline/dlrm/ops/dtypes.py has
// the same codes.
#pragma once

#include <cstdint>

namespace plumbline {

enum class Dtype : int { float32 = 0, bfloat16 = 1, float16 = 2 };

struct Bfloat16 {
  uint16_t bits;
};

struct Float16 {
  uint16_t bits;
};

namespace {

inline int64_t bytes_of(Dtype dtype) { return dtype == Dtype::float32 ? 4 : 2; }

}  // namespace
}  // namespace plumbline
