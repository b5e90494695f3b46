// A DLRM for inference: encoded rows to probabilities in one call. What it computes stands at the
// head of plumbline/dlrm/model/dlrm.py, the rounding of bfloat16 in plumbline/dlrm/model/layers.py.
//
// A row's probability depends on that row alone: the same bits in any batch, at any index of it, and
// with any number of threads. Calls may run at the same time.
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

// A column of lists; `position` is the column's among all id columns.
struct ListColumn {
  int64_t first_row, cardinality, position;
};

// What a model is. The tables stay where they are, and have to outlive it.
struct ScoringSpec {
  Dtype dtype;  // of the activations: float32 or bfloat16
  Rows tables;
  int64_t continuous;
  std::vector<int64_t> first_row, cardinality, position;  // of the columns with one id a row
  std::vector<ListColumn> lists;
  bool mean;
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

// Shapes are the model's: the caller has checked them, and that offsets rise from 0 to `count`.
struct EncodedRows {
  int64_t rows;
  Strided<int64_t> ids;
  Strided<float> dense;
  std::vector<ListIds> lists;
};

class ScoringModel {
 public:
  // Throws std::invalid_argument where the layers do not fit together.
  ScoringModel(InstructionSet set, const ScoringSpec &spec);

  bool takes(int64_t singles, int64_t continuous, size_t lists) const;

  // False where a table has no row for an id: `probability` is then not all written.
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
