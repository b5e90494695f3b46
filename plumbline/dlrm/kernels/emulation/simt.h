// What the CUDA sources see in place of the toolkit, when g++ compiles them to run on a CPU.
//
// Threads of a block are fibres. They run one at a time, in an order drawn from a seed, and change
// only where they wait: at a barrier or at an operation of a whole warp. A kernel that is right in
// CUDA is right here; what is wrong in CUDA is found here as follows, as an exception that names
// kernel, block, thread and place:
//   memory.h   an access outside its array, an unaligned vector, a read of shared memory that
//   nobody
//              wrote, and two threads at one place of it with no barrier between them
//   block.h    a barrier that some threads never reach, and lanes that meet in different operations
//   wmma.h     fragments of another shape or at an address that the hardware refuses
// It knows nothing of speed, of caches, or of how the hardware schedules.
#pragma once

#include <algorithm>
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

// The sum of two lanes' values goes through here: every lane of `mask` gives a value and takes that
// of the lane whose number differs by the bits of `lanes`.
inline float __shfl_xor_sync(unsigned mask, float value, int lanes) {
  struct Operand {
    float given, taken;
    int from;
  } operand{value, 0.0f, emulation::thread().lane ^ lanes};
  emulation::meet_warp("__shfl_xor_sync", mask, &operand, [](emulation::Operands &all) {
    for (void *each : all) {
      if (each == nullptr) continue;
      auto &taker = *static_cast<Operand *>(each);
      const auto *giver = static_cast<Operand *>(all.at(taker.from));
      if (giver == nullptr) emulation::fail("__shfl_xor_sync takes from a lane outside its mask");
      taker.taken = giver->given;
    }
  });
  return operand.taken;
}

inline long long atomicMin(long long *place, long long value) {
  const long long before = *place;
  *place = before < value ? before : value;
  return before;
}

}  // namespace plumbline
