// Random numbers of the emulated schedule, determined by the seed.
#pragma once

#include <cstdint>

namespace plumbline::emulation {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15ull + 1) {}

  // A number in [0, count).
  uint64_t below(uint64_t count) {
    uint64_t mixed = (state_ += 0x9E3779B97F4A7C15ull);  // splitmix64
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9ull;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBull;
    return (mixed ^ (mixed >> 31)) % count;
  }

 private:
  uint64_t state_;
};

}  // namespace plumbline::emulation
