// The instruction sets that kernels are compiled for, and those that this processor supports.
//
// The loops of each kernel are in <kernel>_loops.cpp, which CMake compiles once per instruction
// set. Such a file exports one function, a specialization for its set. Everything else in it, and
// in the headers that only loops include, is in an anonymous namespace, and calls no inline
// function of the standard library: the linker keeps one copy of an inline function or template
// that several files define, and that copy might contain instructions that not every processor
// supports. In headers shared by loops and other files, functions outside an anonymous namespace
// are always inlined. tests/dlrm/kernels/test_cpu_build.py checks this.
#pragma once

#include <string>
#include <vector>

namespace plumbline {

// Each set includes those before it, except for emulatedamx: the kernels of amx on the emulation of
// tiles_emulated.h, for tests. Only builds of a checkout have it, and only by name.
enum class InstructionSet { plain, avx2, emulatedamx, avx512, avx512bf16, amx };

#if defined(PLUMBLINE_INSTRUCTION_SET)
// The set that this file is compiled for.
constexpr InstructionSet kInstructionSet = InstructionSet::PLUMBLINE_INSTRUCTION_SET;
#endif

// Whether the processor and the operating system support it. For amx, Linux is asked once for the
// permission to use tiles.
bool has(InstructionSet set);

// Names of the sets that this processor supports, widest last; always includes "plain".
std::vector<std::string> instruction_sets();

// Throws std::invalid_argument for a name that is neither one of `instruction_sets()` nor
// "emulatedamx" in a build that has it.
InstructionSet instruction_set(const std::string &name);

}  // namespace plumbline
