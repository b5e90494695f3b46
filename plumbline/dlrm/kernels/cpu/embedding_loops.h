// The inner loops of the embedding kernels, one set per instruction set, and their arguments.
#pragma once

#include <cstdint>

#include "dtypes.h"
#include "instruction_set.h"

namespace plumbline {

// All tables: rows of `dim` numbers, float32 or bfloat16.
struct Rows {
  const void *weight;
  Dtype dtype;
  int64_t dim;
};

// Columns with one id a row: ids[row * columns + column].
struct Singles {
  const int64_t *ids;
  int64_t rows, columns;
  const int64_t *first_row, *cardinality, *position;
};

// What a list of ids gives: the sum, the mean, for each element the maximum, or the sum by the
// weights of the bag. plumbline/dlrm/ops/embedding/pooling.py has the same numbers.
enum class Pooling : int { sum = 0, mean = 1, max = 2, position_weighted = 3 };

// A column with a list of ids a row: list r is ids[offsets[r]] … ids[offsets[r + 1] - 1].
struct Bag {
  const int64_t *ids;
  int64_t count;
  const int64_t *offsets;
  int64_t rows, first_row, cardinality, position;
  // One per position in a list; the last is for all later positions too. Only for position_weighted.
  const float *weights;
  int64_t weight_count;

  [[gnu::always_inline]] float weight_of(int64_t position_in_list) const {
    return weights[position_in_list < weight_count ? position_in_list : weight_count - 1];
  }
};

// out[(row * vectors + position) * dim …]
struct Result {
  void *out;
  Dtype dtype;
  int64_t vectors;
  // Whether the result exceeds the caches; it is then written with streaming stores.
  bool streamed;
};

// One id of a column, and its row in the batch.
struct Occurrence {
  uint32_t id, row;
};

struct Optimizer {
  void *weight;
  Dtype dtype;
  int64_t dim;
  float *state;  // one per row; null for SGD
  const void *gradient;
  Dtype gradient_dtype;
  int64_t vectors;
  float learning_rate, eps, scale;
  uint32_t k0, k1;
};

// The occurrences of one column, sorted by id, then by order in the batch.
struct Column {
  const Occurrence *occurrences;
  const int64_t *offsets;  // null if each occurrence counts 1; else it counts 1 / list length
  int64_t first_row, position;
};

// The loops process this many numbers at a time, so their sums need this much extra room.
constexpr int64_t kScratch = 16;

struct EmbeddingLoops {
  // Ids in [begin, end) of the row-major ids; returns the index of the first bad one, or -1.
  int64_t (*gather)(const Rows &, const Singles &, const Result &, int64_t begin, int64_t end);
  // Lists in [begin, end); `sum` has room for dim + kScratch numbers. Returns the index of the
  // first bad id among all ids, or -1.
  int64_t (*pool)(const Rows &, const Bag &, Pooling, const Result &, int64_t begin, int64_t end,
                  float *sum);
  // All rows whose occurrences are in [begin, end); `sum` is as above.
  void (*update)(const Optimizer &, const Column &, int64_t begin, int64_t end, float *sum);
};

// Defined in embedding_loops.cpp.
template <InstructionSet>
EmbeddingLoops embedding_loops();
template <>
EmbeddingLoops embedding_loops<InstructionSet::plain>();
template <>
EmbeddingLoops embedding_loops<InstructionSet::avx2>();
template <>
EmbeddingLoops embedding_loops<InstructionSet::emulatedamx>();
template <>
EmbeddingLoops embedding_loops<InstructionSet::avx512>();
template <>
EmbeddingLoops embedding_loops<InstructionSet::avx512bf16>();
template <>
EmbeddingLoops embedding_loops<InstructionSet::amx>();

}  // namespace plumbline
