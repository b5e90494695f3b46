#include <nanobind/stl/array.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/tuple.h>

#include "embedding.h"
#include "embedding_memory.h"
#include "instruction_set.h"
#include "module.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace plumbline {
namespace {

using Bad = std::optional<std::tuple<int64_t, int64_t, int64_t, int64_t>>;

EmbeddingLoops loops_of(const std::string &name) {
  return embedding_loops(instruction_set(name));
}

template <typename T>
T *at(uintptr_t pointer) {
  return reinterpret_cast<T *>(pointer);
}

Bad as_tuple(const std::optional<BadId> &bad) {
  if (!bad) return std::nullopt;
  return std::tuple(bad->position, bad->row, bad->id, bad->cardinality);
}

// Results of this size are evicted from the caches before they are read again.
constexpr int64_t kStreamedBytes = int64_t{8} << 20;

Result result_of(uintptr_t out, int dtype, int64_t rows, int64_t vectors, int64_t dim) {
  const auto kind = static_cast<Dtype>(dtype);
  return {at<void>(out), kind, vectors, rows * vectors * dim * bytes_of(kind) > kStreamedBytes};
}

Singles singles_of(const std::array<uintptr_t, 4> &pointers, int64_t rows, int64_t columns) {
  return {at<const int64_t>(pointers[0]), rows, columns, at<const int64_t>(pointers[1]),
          at<const int64_t>(pointers[2]), at<const int64_t>(pointers[3])};
}

Bag bag_of(const std::array<int64_t, 8> &bag, int64_t rows) {
  return {at<const int64_t>(static_cast<uintptr_t>(bag[0])), bag[1],
          at<const int64_t>(static_cast<uintptr_t>(bag[2])), rows, bag[3], bag[4], bag[5],
          at<const float>(static_cast<uintptr_t>(bag[6])), bag[7]};
}

Bad gather_ids(const std::string &set, uintptr_t weight, int dtype, int64_t dim,
               const std::array<uintptr_t, 4> &singles, int64_t rows, int64_t columns,
               uintptr_t out, int out_dtype, int64_t vectors, int threads) {
  return as_tuple(gather(loops_of(set), {at<const void>(weight), static_cast<Dtype>(dtype), dim},
                         singles_of(singles, rows, columns),
                         result_of(out, out_dtype, rows, vectors, dim), threads));
}

Bad pool_lists(const std::string &set, uintptr_t weight, int dtype, int64_t dim,
               const std::array<int64_t, 8> &bag, int64_t rows, int pooling, uintptr_t out,
               int out_dtype, int64_t vectors, int threads) {
  return as_tuple(pool(loops_of(set), {at<const void>(weight), static_cast<Dtype>(dtype), dim},
                       bag_of(bag, rows), Pooling{pooling}, result_of(out, out_dtype, rows, vectors, dim),
                       threads));
}

Bad update_rows(const std::string &set, uintptr_t weight, int dtype, int64_t dim, uintptr_t state,
                const std::array<uintptr_t, 4> &singles, int64_t rows, int64_t columns,
                const std::vector<std::array<int64_t, 8>> &bags, bool mean, uintptr_t gradient,
                int gradient_dtype, int64_t vectors, float learning_rate, float eps, float scale,
                uint32_t k0, uint32_t k1, int threads) {
  const Optimizer optimizer{at<void>(weight),
                            static_cast<Dtype>(dtype),
                            dim,
                            at<float>(state),
                            at<const void>(gradient),
                            static_cast<Dtype>(gradient_dtype),
                            vectors,
                            learning_rate,
                            eps,
                            scale,
                            k0,
                            k1};
  std::vector<Bag> lists;
  for (const auto &bag : bags) lists.push_back(bag_of(bag, rows));
  return as_tuple(update(loops_of(set), optimizer, singles_of(singles, rows, columns), lists, mean,
                         threads));
}

}  // namespace

void bind_embedding(nb::module_ &m) {
  m.def("advise_large_pages", &advise_large_pages, "start"_a, "bytes"_a);
  const auto released = nb::call_guard<nb::gil_scoped_release>();
  m.def("embedding_gather", &gather_ids, "instruction_set"_a, "weight"_a, "row_dtype"_a, "dim"_a,
        "singles"_a, "rows"_a, "columns"_a, "out"_a, "out_dtype"_a, "vectors"_a, "threads"_a,
        released);
  m.def("embedding_pool", &pool_lists, "instruction_set"_a, "weight"_a, "row_dtype"_a, "dim"_a,
        "bag"_a, "rows"_a, "pooling"_a, "out"_a, "out_dtype"_a, "vectors"_a, "threads"_a, released);
  m.def("embedding_update", &update_rows, "instruction_set"_a, "weight"_a, "row_dtype"_a, "dim"_a,
        "state"_a, "singles"_a, "rows"_a, "columns"_a, "bags"_a, "mean"_a, "gradient"_a,
        "gradient_dtype"_a, "vectors"_a, "learning_rate"_a, "eps"_a, "scale"_a, "k0"_a, "k1"_a,
        "threads"_a, released);
}

}  // namespace plumbline
