// A DLRM for inference in int8: encoded rows to probabilities in one call.
// plumbline/dlrm/ops/scoring/int8_reference.py defines the computation.
//
// Contract: that of scoring.h. In addition, every instruction set gives the same bits.
#pragma once

#include <cstdint>
#include <vector>

#include "scoring_int8_loops.h"
#include "scoring_int8_packing.h"
#include "scoring_memory.h"
#include "scoring_packing.h"
#include "scoring_rows.h"
#include "scoring_shape.h"

namespace plumbline {

// Definition of a model. The tables are not copied and must outlive it.
struct Int8ScoringSpec {
  Int8Tables tables;
  int64_t continuous;
  IdColumns columns;
  std::vector<LayerWeights> first;  // the first bottom layer, in float32, if there is one
  std::vector<Int8LayerWeights> bottom, top;  // the others
  LayerWeights last;
};

class Int8ScoringModel {
 public:
  // Throws std::invalid_argument if the layers do not fit together or are too wide.
  Int8ScoringModel(InstructionSet set, const Int8ScoringSpec &spec);

  bool takes(int64_t singles, int64_t continuous, size_t lists) const;

  // Returns false if an id is outside its table; `probability` is then incomplete.
  bool score(const EncodedRows &rows, float *probability, int threads) const;

 private:
  struct Block;

  bool score_block(const EncodedRows &rows, int64_t begin, int64_t end, float *probability,
                   std::byte *scratch) const;
  bool interact(const EncodedRows &rows, int64_t begin, int64_t count, Block &block) const;
  bool look_up(const EncodedRows &rows, int64_t begin, int64_t count, const Block &block) const;

  Int8ScoringSpec spec_;
  Int8ScoringLoops loops_;
  NetworkShape network_;
  interaction::Shape shape_;
  PackedLayers first_;
  PackedInt8Layers bottom_, top_;
  std::vector<float> last_;
  float last_bias_;
  int64_t widest_, most_rows_;
  mutable MemoryPool scratch_;
};

}  // namespace plumbline
