// Launches, and the device that a module emulates.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>

#include "block.h"
#include "random.h"
#include "stream.h"

namespace plumbline {

using cudaStream_t = void *;

struct Device {
  int compute_capability;  // 10 · major + minor
  int64_t shared_bytes;    // maximum per block
  int64_t processors;
};

namespace emulation {

struct Settings {
  Device device{90, 227 * 1024, 132};
  uint64_t seed = 0;        // of the order of blocks and threads
  int64_t last_blocks = 0;  // run only this many of a grid's last blocks; 0 runs all
  std::string launched;     // names of the kernels that ran since this was cleared
};

Settings &settings();

// Fails if no device supports the launch.
void check_launch(const std::string &name, const dim3 &grid, const dim3 &block,
                  int64_t shared_bytes);

}  // namespace emulation

inline Device current_device() { return emulation::settings().device; }

// As in cuda/device.cuh, of a processor with shared memory for one block of the largest size.
template <typename... Parameters>
int64_t resident_blocks(void (*)(Parameters...), int64_t threads, int64_t shared_bytes) {
  constexpr int64_t kMostThreads = 2048, kMostBlocks = 32;
  const int64_t by_memory = current_device().shared_bytes / std::max<int64_t>(shared_bytes, 1);
  return std::min({by_memory, kMostThreads / threads, kMostBlocks});
}

// As in cuda/device.cuh.
struct Launch {
  const char *name;
  dim3 grid, block;
  int64_t shared_bytes;
  cudaStream_t stream;

  template <typename... Parameters>
  void operator()(void (*kernel)(Parameters...),
                  std::type_identity_t<Parameters>... arguments) const {
    emulation::Settings &settings = emulation::settings();
    emulation::check_launch(name, grid, block, shared_bytes);
    settings.launched += std::string(settings.launched.empty() ? "" : " ") + name;
    emulation::enqueue(stream, [=, launch = *this] { launch.run(kernel, arguments...); });
  }

 private:
  template <typename... Parameters>
  void run(void (*kernel)(Parameters...), const Parameters &...arguments) const {
    const emulation::Settings &settings = emulation::settings();
    const uint64_t blocks = uint64_t(grid.x) * grid.y;
    const uint64_t first = settings.last_blocks > 0 && blocks > uint64_t(settings.last_blocks)
                               ? blocks - settings.last_blocks
                               : 0;
    emulation::Random random(settings.seed);
    const uint64_t start = random.below(blocks - first);  // block order: a rotation, drawn too
    for (uint64_t each = 0; each < blocks - first; ++each) {
      const uint64_t number = first + (start + each) % (blocks - first);
      const dim3 index{unsigned(number % grid.x), unsigned(number / grid.x), 0};
      emulation::run_block(name, {index, block, grid, 0}, shared_bytes,
                           settings.seed ^ (number << 20), [&] { kernel(arguments...); });
    }
  }
};

}  // namespace plumbline
