#include "embedding_loops.h"

#include "embedding_look_up.h"
#include "embedding_step.h"

namespace plumbline {
namespace {

template <typename Row>
int64_t gather_rows(const Rows &rows, const Singles &singles, const Result &result, int64_t begin,
                    int64_t end) {
  switch (result.dtype) {
    case Dtype::float32:
      return gather_as<Row, float>(rows, singles, result, begin, end);
    case Dtype::bfloat16:
      return gather_as<Row, Bfloat16>(rows, singles, result, begin, end);
    default:
      return gather_as<Row, Float16>(rows, singles, result, begin, end);
  }
}

int64_t gather(const Rows &rows, const Singles &singles, const Result &result, int64_t begin,
               int64_t end) {
  return rows.dtype == Dtype::float32
             ? gather_rows<float>(rows, singles, result, begin, end)
             : gather_rows<Bfloat16>(rows, singles, result, begin, end);
}

template <typename Row>
int64_t pool_rows(const Rows &rows, const Bag &bag, Pooling pooling, const Result &result, int64_t begin,
                  int64_t end, float *sum) {
  switch (result.dtype) {
    case Dtype::float32:
      return pool_as<Row, float>(rows, bag, pooling, result, begin, end, sum);
    case Dtype::bfloat16:
      return pool_as<Row, Bfloat16>(rows, bag, pooling, result, begin, end, sum);
    default:
      return pool_as<Row, Float16>(rows, bag, pooling, result, begin, end, sum);
  }
}

int64_t pool(const Rows &rows, const Bag &bag, Pooling pooling, const Result &result, int64_t begin,
             int64_t end, float *sum) {
  return rows.dtype == Dtype::float32
             ? pool_rows<float>(rows, bag, pooling, result, begin, end, sum)
             : pool_rows<Bfloat16>(rows, bag, pooling, result, begin, end, sum);
}

template <typename Row>
void update_rows(const Optimizer &optimizer, const Column &column, int64_t begin, int64_t end,
                 float *sum) {
  switch (optimizer.gradient_dtype) {
    case Dtype::float32:
      return update_as<Row, float>(optimizer, column, begin, end, sum);
    case Dtype::bfloat16:
      return update_as<Row, Bfloat16>(optimizer, column, begin, end, sum);
    default:
      return update_as<Row, Float16>(optimizer, column, begin, end, sum);
  }
}

void update(const Optimizer &optimizer, const Column &column, int64_t begin, int64_t end,
            float *sum) {
  return optimizer.dtype == Dtype::float32
             ? update_rows<float>(optimizer, column, begin, end, sum)
             : update_rows<Bfloat16>(optimizer, column, begin, end, sum);
}

}  // namespace

template <>
EmbeddingLoops embedding_loops<kInstructionSet>() {
  return {gather, pool, update};
}

}  // namespace plumbline
