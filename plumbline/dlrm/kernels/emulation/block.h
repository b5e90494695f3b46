// The threads of one emulated block: fibres, their waits, and their scheduling.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace plumbline {

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};

namespace emulation {

constexpr int kWarp = 32;

// Each lane's contribution to an operation of its warp; nullptr for lanes that do not take part.
using Operands = std::array<void *, kWarp>;
using Collective = void (*)(Operands &);

struct Thread {
  dim3 index;
  int number = 0, warp = 0, lane = 0;
  uint32_t warp_barriers = 0;  // __syncwarp of the whole warp, so far
};

struct Block {
  dim3 index, threads, blocks;
  uint32_t barriers = 0;  // __syncthreads so far
};

const Thread &thread();
const Block &block();

// Wait for every thread of the block.
void meet_block();

// Wait for the lanes in `mask`; the last one to arrive runs `collective` on all contributions.
void meet_warp(const char *operation, unsigned mask, void *operand, Collective collective);

// Throws std::runtime_error with `what`, the kernel's name, the block and the thread.
[[noreturn]] void fail(const std::string &what);

// Runs `body` once for each thread of one block. Rethrows a thread's exception.
void run_block(const std::string &kernel, const Block &block, size_t shared_bytes, uint64_t seed,
               const std::function<void()> &body);

}  // namespace emulation
}  // namespace plumbline
