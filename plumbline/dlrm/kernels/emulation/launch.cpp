#include "launch.h"

#include <stdexcept>

namespace plumbline::emulation {

Settings &settings() {
  static Settings settings;
  return settings;
}

void check_launch(const std::string &name, const dim3 &grid, const dim3 &block,
                  int64_t shared_bytes) {
  const int64_t limit = settings().device.shared_bytes;
  const bool fits = grid.x >= 1 && grid.x <= 0x7fffffffu && grid.y >= 1 && grid.y <= 65535 &&
                    grid.z == 1 && block.x >= 1 && block.x * block.y * block.z <= 1024 &&
                    shared_bytes >= 0 && shared_bytes <= limit;
  if (fits) return;
  throw std::runtime_error(name + ": invalid launch: grid (" + std::to_string(grid.x) + ", " +
                           std::to_string(grid.y) + "), block " + std::to_string(block.x) + ", " +
                           std::to_string(shared_bytes) + " bytes of shared memory of " +
                           std::to_string(limit));
}

}  // namespace plumbline::emulation
