// The instruction sets that kernels are compiled for, and those that this processor has.
//
// The loops of each kernel are in a file <kernel>_loops.cpp, which CMake compiles once for every
// instruction set. What such a file gives to the others is one function, a specialization for its
// set. All else in it, and in the headers that only loops include, is in an anonymous namespace, and
// it calls no inline function of the standard library: the linker keeps one copy of an inline
// function or template that several files have, and that copy might have instructions that not every
// processor runs. Headers that loops and other files share have no function outside an anonymous
// namespace but those that are always inlined. tests/dlrm/kernels/test_cpu_build.py holds this.
#pragma once

#include <string>
#include <vector>

namespace plumbline {

enum class InstructionSet { plain, avx2, avx512, avx512bf16 };

#if defined(PLUMBLINE_INSTRUCTION_SET)
// The one that this file is compiled for.
constexpr InstructionSet kInstructionSet = InstructionSet::PLUMBLINE_INSTRUCTION_SET;
#endif

// Whether the processor and the operating system have it.
bool has(InstructionSet set);

// Names of those that this processor has, the widest last; "plain" is always there.
std::vector<std::string> instruction_sets();

// Throws std::invalid_argument for a name that is not one of `instruction_sets()`.
InstructionSet instruction_set(const std::string &name);

}  // namespace plumbline
