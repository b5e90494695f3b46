// Bfloat16 only, on the matrix tiles of AMX or their emulation.
#pragma once

#include "interaction_amx_backward.h"
#include "interaction_amx_forward.h"

namespace plumbline::interaction {
namespace {

struct AmxLoops {
  static Kernels of(Dtype dtype) {
    if (dtype != Dtype::bfloat16) return {};
    return {AmxForward::rows, AmxForward::scratch, AmxBackward::rows, AmxBackward::scratch};
  }
};

template <>
struct Loops<InstructionSet::emulatedamx> : AmxLoops {};
template <>
struct Loops<InstructionSet::amx> : AmxLoops {};

}  // namespace
}  // namespace plumbline::interaction
