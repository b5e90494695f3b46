// Functions of an emulated module in addition to cuda/api.h: the emulated device and the schedule.
#include "../cuda/api.h"
#include "launch.h"

// Emulate from now on a device with this compute capability (10 · major + minor), shared memory per
// block and number of processors, and run blocks and threads in an order drawn from `seed`. Only
// the last `last_blocks` blocks of every grid run; 0 runs all.
PLUMBLINE_CUDA_API void plumbline_emulate(int compute_capability, int64_t shared_bytes,
                                          int64_t processors, uint64_t seed, int64_t last_blocks) {
  plumbline::emulation::settings() = {
      {compute_capability, shared_bytes, processors}, seed, last_blocks, ""};
}

// The kernels that ran since `plumbline_emulate`, separated by spaces.
PLUMBLINE_CUDA_API const char *plumbline_emulated_launches() {
  return plumbline::emulation::settings().launched.c_str();
}
