// A DLRM for inference: encoded rows to probabilities in one call. plumbline/dlrm/model/dlrm.py
// defines the computation, and plumbline/dlrm/model/layers.py the rounding of bfloat16.
//
// Contract: zero rows and empty lists are valid. An id outside its table makes `score` return
// false. A row's probability depends only on that row: it has the same bits in any batch, at any
// index, with any number of threads. Sums are float32. Calls may run concurrently.
#pragma once

#include <cstdint>
#include <vector>

#include "embedding.h"
#include "instruction_set.h"
#include "interaction.h"
#include "scoring_loops.h"
#include "scoring_memory.h"
#include "scoring_packing.h"
#include "scoring_rows.h"
#include "scoring_shape.h"

namespace plumbline {

// Definition of a model. The tables are not copied and must outlive it.
struct ScoringSpec {
  Dtype dtype;  // of the activations: float32 or bfloat16
  Rows tables;
  int64_t continuous;
  IdColumns columns;
  std::vector<LayerWeights> bottom, top;
  LayerWeights last;
};

class ScoringModel {
 public:
  // Throws std::invalid_argument if the layers do not fit together.
  ScoringModel(InstructionSet set, const ScoringSpec &spec);

  bool takes(int64_t singles, int64_t continuous, size_t lists) const;

  // Returns false if an id is outside its table; `probability` is then incomplete.
  bool score(const EncodedRows &rows, float *probability, int threads) const;

 private:
  struct Block;

  bool score_block(const EncodedRows &rows, int64_t begin, int64_t end, float *probability,
                   std::byte *scratch) const;
  bool look_up(const EncodedRows &rows, int64_t begin, int64_t end, const Block &block) const;

  ScoringSpec spec_;
  ScoringLoops loops_;
  EmbeddingLoops embedding_loops_;
  NetworkShape network_;
  interaction::Shape shape_;
  interaction::Kernels interaction_;
  PackedLayers bottom_, top_;
  std::vector<float> last_;
  float last_bias_;
  int64_t widest_, most_rows_, multiply_adds_;
  mutable MemoryPool scratch_;
};

}  // namespace plumbline
