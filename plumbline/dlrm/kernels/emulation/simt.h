// Replaces the CUDA toolkit for the CUDA sources when g++ compiles them to run on a CPU.
//
// Threads of a block are fibres. They run one at a time, in an order drawn from a seed, and switch
// only where they wait: at a barrier or at an operation of a whole warp. A kernel that is correct
// in CUDA is correct here. These faults raise an exception that names kernel, block, thread and
// index:
//   memory.h       accesses outside an array, unaligned vectors, reads of unwritten shared memory,
//                  races: accesses of two threads to the same bytes without a barrier between
//   block.h        threads that never reach a barrier, lanes that meet in different operations
//   wmma.h         fragments of another shape, or at an address that the hardware refuses
//   async_copy.h   accesses to the place of a copy that is under way
//   tensor_core.h  lines of a matrix that share banks
// It does not model speed, caches, or hardware scheduling.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "block.h"
#include "launch.h"
#include "memory.h"
#include "numbers.h"
#include "wmma.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)

#define threadIdx (::plumbline::emulation::thread().index)
#define blockIdx (::plumbline::emulation::block().index)
#define blockDim (::plumbline::emulation::block().threads)
#define gridDim (::plumbline::emulation::block().blocks)

namespace plumbline {

using std::max, std::min;

inline void __syncthreads() { emulation::meet_block(); }

inline void __syncwarp(unsigned mask = 0xffffffffu) {
  emulation::meet_warp("__syncwarp", mask, nullptr, nullptr);
}

// Exchange of values between lanes: every lane of `mask` passes a value and returns that of lane
// `from`.
template <typename T>
T exchanged(const char *operation, unsigned mask, T value, int from) {
  struct Operand {
    const char *operation;
    T given, taken;
    int from;
  } operand{operation, value, value, from};
  emulation::meet_warp(operation, mask, &operand, [](emulation::Operands &all) {
    for (void *each : all) {
      if (each == nullptr) continue;
      auto &taker = *static_cast<Operand *>(each);
      const auto *giver = static_cast<Operand *>(all.at(taker.from));
      if (giver == nullptr)
        emulation::fail(std::string(taker.operation) + " takes from a lane outside its mask");
      taker.taken = giver->given;
    }
  });
  return operand.taken;
}

// The value of the lane whose index differs in the bits of `lanes`.
inline float __shfl_xor_sync(unsigned mask, float value, int lanes) {
  return exchanged("__shfl_xor_sync", mask, value, emulation::thread().lane ^ lanes);
}

template <typename T>
T __shfl_sync(unsigned mask, T value, int lane) {
  return exchanged("__shfl_sync", mask, value, lane % emulation::kWarp);
}

// One bit for each lane of `mask`: its predicate.
inline unsigned __ballot_sync(unsigned mask, bool predicate) {
  struct Operand {
    bool given;
    unsigned taken;
  } operand{predicate, 0};
  emulation::meet_warp("__ballot_sync", mask, &operand, [](emulation::Operands &all) {
    unsigned bits = 0;
    for (int lane = 0; lane < emulation::kWarp; ++lane)
      if (all[lane] != nullptr && static_cast<Operand *>(all[lane])->given) bits |= 1u << lane;
    for (void *each : all)
      if (each != nullptr) static_cast<Operand *>(each)->taken = bits;
  });
  return operand.taken;
}

inline int __popc(unsigned bits) { return std::popcount(bits); }
inline int __ffs(unsigned bits) { return bits == 0 ? 0 : std::countr_zero(bits) + 1; }

inline long long atomicMin(long long *place, long long value) {
  const long long before = *place;
  *place = before < value ? before : value;
  return before;
}

}  // namespace plumbline
