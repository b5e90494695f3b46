// The inner loops of scoring, one set per instruction set, and their arguments.
#pragma once

#include <cstdint>

#include "dtypes.h"
#include "instruction_set.h"

namespace plumbline {

// Outputs of a layer per panel, and panels per group of the packed weights.
constexpr int64_t kPanel = 16;
constexpr int64_t kPanelsInGroup = 4;

// Depths of a tile, see scoring_matrix.h.
constexpr int64_t kTileDepth = 16;

// Rows of a block at most, which are the rows of a call of linear_relu.
constexpr int64_t kMostRows = 192;

// A linear layer with packed weights, see scoring_packing.h.
struct PackedLayer {
  const void *weight;
  const float *bias;  // one per output, padded with zeros to a whole panel
  int64_t depth;      // lanes of an input row: float32 numbers, pairs of bfloat16, or four int8
  int64_t stored;     // depths of the packed weights, whole tiles; zeros after `depth`
  int64_t panels;
};

// Rows of activations: row r begins `stride` numbers after row r − 1.
struct Activations {
  void *numbers;
  int64_t stride;
};

// `width` numbers of each row of `out` are written.
using LinearReLU = void(const PackedLayer &, const Activations &in, const Activations &out,
                        int64_t width, int64_t rows);

// out[r] = bias + Σ in[r][k] · weight[k], over `width` numbers.
using Logits = void(const float *weight, float bias, int64_t width, const Activations &in,
                    float *out, int64_t rows);

// Rounds `count` float32 numbers to nearest, even on ties.
using Rounding = void(const float *from, void *to, int64_t count);

// For activations of float32 or bfloat16. Bfloat16 products are summed in float32, and a layer's
// output is rounded once. A row's result depends only on that row: an output's products are summed
// in the order of k, for any number of rows and row index.
struct ScoringLoops {
  LinearReLU *linear_relu;
  Logits *logits;
  Rounding *round;
};

// Defined in scoring_loops.cpp.
template <InstructionSet>
ScoringLoops scoring_loops(Dtype);
template <>
ScoringLoops scoring_loops<InstructionSet::plain>(Dtype);
template <>
ScoringLoops scoring_loops<InstructionSet::avx2>(Dtype);
template <>
ScoringLoops scoring_loops<InstructionSet::emulatedamx>(Dtype);
template <>
ScoringLoops scoring_loops<InstructionSet::avx512>(Dtype);
template <>
ScoringLoops scoring_loops<InstructionSet::avx512bf16>(Dtype);
template <>
ScoringLoops scoring_loops<InstructionSet::amx>(Dtype);

}  // namespace plumbline
