// The inner loops of int8 scoring, one set per instruction set, and their arguments.
//
// A number is q · scale with an integer q from −127 to 127. Rows of activations and of tables, and
// vectors, have a scale each; a layer's weights have one for each output. Sums of products of q are
// exact, as int32. All sums of float32 run in one order, and none is fused with its product. So
// every instruction set gives the same bits, and a row's result depends only on that row.
#pragma once

#include <cstdint>

#include "embedding_loops.h"
#include "scoring_loops.h"

namespace plumbline {

// Inputs of a layer that are multiplied at once, and the unit of a row's stride.
constexpr int64_t kQuad = 4, kInt8Unit = 64;

// The largest number of products in a sum: 127 · 127 · kMostInt8Inputs < 2³¹.
constexpr int64_t kMostInt8Inputs = 133'144;

struct Int8Layer : PackedLayer {
  const float *scale;  // as the biases
  bool signed_inputs;  // whether inputs may be negative
};

// Rows of q, zeros from their end to the stride, and their scales.
struct Int8Rows {
  int8_t *numbers;
  float *scale;
  int64_t stride;
};

struct Int8Tables {
  const int8_t *weight;
  const float *scale;
  int64_t dim;
};

// The vectors of a row of the batch are `vectors` rows. Embeddings begin at vector `first`.
struct Int8Vectors {
  Int8Rows rows;
  int64_t vectors, first;
};

struct Int8ScoringLoops {
  // scale = max |x| / 127, q = x · (127 / max |x|), to nearest, even on ties. A row without a number
  // of 2⁻⁶⁰ or more is zeros. A row with an infinite number or NaN has the scale NaN.
  void (*quantize)(const float *from, int64_t from_stride, int64_t width, const Int8Rows &to,
                   int64_t rows);
  // out = max(0, (Σ q · q) · scale of the row · scale of the output + bias), for whole panels.
  void (*linear_relu)(const Int8Layer &, const Int8Rows &in, float *out, int64_t out_stride,
                      int64_t rows);
  // The first bottom layer, in float32, for whole panels.
  void (*first_layer)(const PackedLayer &, const float *in, int64_t in_stride, float *out,
                      int64_t out_stride, int64_t rows);
  // As that of float32, see scoring_loops.h.
  Logits *logits;
  // As in embedding_loops.h. `pool` adds or compares q · scale in float32 and
  // quantizes the result.
  int64_t (*gather)(const Int8Tables &, const Singles &, const Int8Vectors &);
  int64_t (*pool)(const Int8Tables &, const Bag &, Pooling, const Int8Vectors &, float *sum);
  // Dots of a row's vectors: the strict lower triangle, row by row.
  void (*dots)(const Int8Rows &vectors, int64_t count, float *triangle);
};

// Defined in scoring_int8_loops.cpp.
template <InstructionSet>
Int8ScoringLoops int8_scoring_loops();
template <>
Int8ScoringLoops int8_scoring_loops<InstructionSet::plain>();
template <>
Int8ScoringLoops int8_scoring_loops<InstructionSet::avx2>();
template <>
Int8ScoringLoops int8_scoring_loops<InstructionSet::emulatedamx>();
template <>
Int8ScoringLoops int8_scoring_loops<InstructionSet::avx512>();
template <>
Int8ScoringLoops int8_scoring_loops<InstructionSet::avx512bf16>();
template <>
Int8ScoringLoops int8_scoring_loops<InstructionSet::amx>();

}  // namespace plumbline
