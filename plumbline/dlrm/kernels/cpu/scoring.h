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

namespace plumbline {

// A column of lists; `position` is the column's index among all id columns.
struct ListColumn {
  int64_t first_row, cardinality, position;
  std::vector<float> weights;  // as in Bag
};

// Definition of a model. The tables are not copied and must outlive it.
struct ScoringSpec {
  Dtype dtype;  // of the activations: float32 or bfloat16
  Rows tables;
  int64_t continuous;
  std::vector<int64_t> first_row, cardinality, position;  // of the columns with one id a row
  std::vector<ListColumn> lists;
  Pooling pooling;
  std::vector<LayerWeights> bottom, top;
  LayerWeights last;
};

// (rows, columns); strides in numbers.
template <typename T>
struct Strided {
  const T *data;
  int64_t row_stride, column_stride;
};

struct ListIds {
  const int64_t *ids;
  int64_t count;
  const int64_t *offsets;
};

// The caller has checked the shapes, and that offsets rise from 0 to `count`.
struct EncodedRows {
  int64_t rows;
  Strided<int64_t> ids;
  Strided<float> dense;
  std::vector<ListIds> lists;
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

  int64_t rows_at_a_time(int64_t rows, int threads) const;
  bool score_block(const EncodedRows &rows, int64_t begin, int64_t end, float *probability,
                   std::byte *scratch) const;
  bool look_up(const EncodedRows &rows, int64_t begin, int64_t end, const Block &block) const;

  ScoringSpec spec_;
  ScoringLoops loops_;
  EmbeddingLoops embedding_loops_;
  interaction::Shape shape_;
  interaction::Kernels interaction_;
  PackedLayers bottom_, top_;
  std::vector<float> last_;
  float last_bias_;
  int64_t widest_, most_rows_, multiply_adds_;
  mutable MemoryPool scratch_;
};

}  // namespace plumbline
