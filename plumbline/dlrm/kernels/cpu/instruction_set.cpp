#include "instruction_set.h"

#include <array>
#include <stdexcept>
#include <utility>

#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace plumbline {
namespace {

constexpr std::array<std::pair<InstructionSet, const char *>, 6> kNames{{
    {InstructionSet::plain, "plain"},
    {InstructionSet::avx2, "avx2"},
    {InstructionSet::emulatedamx, "emulatedamx"},
    {InstructionSet::avx512, "avx512"},
    {InstructionSet::avx512bf16, "avx512bf16"},
    {InstructionSet::amx, "amx"},
}};

#if defined(PLUMBLINE_EMULATION)
constexpr bool kHasEmulation = true;
#else
constexpr bool kHasEmulation = false;
#endif

// Whether Linux lets this process use the tiles' data, 8 KiB a thread. It has to be asked before
// the first use. It refuses where a thread's alternate signal stack has no room for them.
bool tiles_permitted() {
#if defined(__x86_64__) && defined(__linux__)
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  static const bool permitted = syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  return permitted;
#else
  return false;
#endif
}

}  // namespace

bool has(InstructionSet set) {
  if (set == InstructionSet::plain) return true;
#if defined(__x86_64__)
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("f16c");
  if (set == InstructionSet::avx2) return avx2;
  if (set == InstructionSet::emulatedamx) return kHasEmulation && avx2;
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512dq");
  if (set == InstructionSet::avx512) return avx512;
  const bool bf16 = avx512 && __builtin_cpu_supports("avx512bf16") &&
                    __builtin_cpu_supports("avx512vnni");
  if (set == InstructionSet::avx512bf16) return bf16;
  return bf16 && __builtin_cpu_supports("amx-tile") && __builtin_cpu_supports("amx-bf16") &&
         __builtin_cpu_supports("amx-int8") && tiles_permitted();
#else
  return false;
#endif
}

std::vector<std::string> instruction_sets() {
  std::vector<std::string> found;
  for (const auto &[set, name] : kNames)
    if (set != InstructionSet::emulatedamx && has(set)) found.emplace_back(name);
  return found;
}

InstructionSet instruction_set(const std::string &wanted) {
  for (const auto &[set, name] : kNames)
    if (wanted == name && has(set)) return set;
  throw std::invalid_argument("this processor has no instruction set '" + wanted + "'");
}

}  // namespace plumbline
