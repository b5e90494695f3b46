// The instructions that tensor cores and asynchronous copies have in PTX for sm_80 and newer, under
// their names there.
//
// Four matrices of 8×8 16-bit items make a 16×16 block in a warp's registers, one register of each
// lane a matrix: rows 0 to 7 of the block's left half, rows 8 to 15 of it, then the right half.
// Lane l passes the address of its line: row l % 16, item 8 · (l / 16). Lane 4 · g + t gets (g, 2 ·
// t) and (g, 2 · t + 1) of each matrix.
#pragma once

#include "numbers.cuh"

#ifdef PLUMBLINE_EMULATED

#include "../emulation/tensor_core.h"

#else

namespace plumbline {

__device__ __forceinline__ uint32_t shared_address(const void *place) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(place));
}

// Loads a block as the left factor of a product; the lines are 16 bytes from `first` on.
template <typename T>
__device__ __forceinline__ void ldmatrix_x4(uint32_t (&registers)[4], const T *array, int first) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(registers[0]), "=r"(registers[1]), "=r"(registers[2]), "=r"(registers[3])
               : "r"(shared_address(array + first))
               : "memory");
}

// The same with each 8×8 matrix transposed.
template <typename T>
__device__ __forceinline__ void ldmatrix_x4_trans(uint32_t (&registers)[4], const T *array,
                                                  int first) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(registers[0]), "=r"(registers[1]), "=r"(registers[2]), "=r"(registers[3])
               : "r"(shared_address(array + first))
               : "memory");
}

// sum (16, 8) += a (16, 16) · b (16, 8). Lane 4 · g + t has of b the items (2 · t, g) and (2 · t +
// 1, g) in b0, and those eight rows below in b1; of sum (g, 2 · t), (g, 2 · t + 1), and those eight
// rows below.
template <typename T>
__device__ __forceinline__ void mma_m16n8k16(float (&sum)[4], const uint32_t (&a)[4], uint32_t b0,
                                             uint32_t b1) {
#define PLUMBLINE_MMA(dtype)                                                 \
  asm("mma.sync.aligned.m16n8k16.row.col.f32." dtype "." dtype               \
      ".f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};" \
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])               \
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1))
  if constexpr (std::is_same_v<T, float16>)
    PLUMBLINE_MMA("f16");
  else
    PLUMBLINE_MMA("bf16");
#undef PLUMBLINE_MMA
}

// Begins to copy 16 bytes past the registers and the L1 cache, if `wanted`. A predicate and no
// branch: the addresses of neighbouring copies share their sums.
template <typename T>
__device__ __forceinline__ void cp_async_16(T *to, int to_first, const T *from, int64_t from_first,
                                            bool wanted) {
  asm volatile(
      "{ .reg .pred wanted; setp.ne.b32 wanted, %2, 0;"
      " @wanted cp.async.cg.shared.global [%0], [%1], 16; }" ::"r"(shared_address(to + to_first)),
      "l"(from + from_first), "r"(int(wanted))
      : "memory");
}

// Ends a group of the thread's copies.
__device__ __forceinline__ void cp_async_commit() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}

// Waits for the thread's copies but for those of its last `Pending` groups. Other threads see them
// after a barrier.
template <int Pending>
__device__ __forceinline__ void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(Pending) : "memory");
}

}  // namespace plumbline

#endif
