#include "instruction_set.h"

#include <array>
#include <stdexcept>
#include <utility>

namespace plumbline {
namespace {

constexpr std::array<std::pair<InstructionSet, const char *>, 4> kNames{{
    {InstructionSet::plain, "plain"},
    {InstructionSet::avx2, "avx2"},
    {InstructionSet::avx512, "avx512"},
    {InstructionSet::avx512bf16, "avx512bf16"},
}};

}  // namespace

bool has(InstructionSet set) {
  if (set == InstructionSet::plain) return true;
#if defined(__x86_64__)
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("f16c");
  if (set == InstructionSet::avx2) return avx2;
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512dq");
  if (set == InstructionSet::avx512) return avx512;
  return avx512 && __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vnni");
#else
  return false;
#endif
}

std::vector<std::string> instruction_sets() {
  std::vector<std::string> found;
  for (const auto &[set, name] : kNames)
    if (has(set)) found.emplace_back(name);
  return found;
}

InstructionSet instruction_set(const std::string &wanted) {
  for (const auto &[set, name] : kNames)
    if (wanted == name && has(set)) return set;
  throw std::invalid_argument("this processor has no instruction set '" + wanted + "'");
}

}  // namespace plumbline
