// Counts in whole units. Also for loops, see instruction_set.h.
#pragma once

#include <cstdint>

namespace plumbline {
namespace {

constexpr int64_t parts_of(int64_t count, int64_t unit) { return (count + unit - 1) / unit; }

constexpr int64_t round_up(int64_t count, int64_t unit) { return parts_of(count, unit) * unit; }

}  // namespace
}  // namespace plumbline
