// What an emulated module has beside cuda/api.h: the device that it pretends to be, and its
// schedule.
#include "../cuda/api.h"
#include "launch.h"

// From now on: a device with that compute capability (10 · major + minor), that much shared memory
// for a block and so many processors, and the order of blocks and threads that `seed` draws. Of
// every grid only its last blocks run, or all where `last_blocks` is 0.
PLUMBLINE_CUDA_API void plumbline_emulate(int compute_capability, int64_t shared_bytes,
                                          int64_t processors, uint64_t seed, int64_t last_blocks) {
  plumbline::emulation::settings() = {
      {compute_capability, shared_bytes, processors}, seed, last_blocks, ""};
}

// The kernels that ran since `plumbline_emulate`, separated by spaces.
PLUMBLINE_CUDA_API const char *plumbline_emulated_launches() {
  return plumbline::emulation::settings().launched.c_str();
}
