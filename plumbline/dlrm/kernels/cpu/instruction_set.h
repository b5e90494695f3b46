// The instruction sets that kernels are compiled for, and those that this processor has.
#pragma once

#include <string>
#include <vector>

namespace plumbline {

enum class InstructionSet { plain, avx2, avx512, avx512bf16 };

// Whether the processor and the operating system have it.
bool has(InstructionSet set);

// Names of those that this processor has, the widest last; "plain" is always there.
std::vector<std::string> instruction_sets();

// Throws std::invalid_argument for a name that is not one of `instruction_sets()`.
InstructionSet instruction_set(const std::string &name);

}  // namespace plumbline
