// Launches of the embedding kernels, for every pair of dtypes.
#include <algorithm>
#include <stdexcept>

#include "api.h"
#include "embedding_gather.cuh"
#include "embedding_gather_common.cuh"
#include "embedding_update_quads.cuh"
#include "entry.h"

namespace plumbline {
namespace {

constexpr int64_t kThreads = 128;
constexpr int64_t kBlocksOfProcessor = 64;  // a group loops over the remaining vectors

template <typename T>
struct Type {
  using type = T;
};

// Calls work(Type<W>(), Type<T>()) for rows of dtype `rows`, and gradients or results of dtype
// `others`.
template <typename Work>
void with_numbers(int rows, int others, Work work) {
  const auto with_row = [&](auto row) {
    switch (static_cast<Number>(others)) {
      case Number::float32:
        return work(row, Type<float>());
      case Number::bfloat16:
        return work(row, Type<bfloat16>());
      case Number::float16:
        return work(row, Type<float16>());
    }
    throw std::invalid_argument("embedding: no kernel for dtype " + std::to_string(others));
  };
  if (static_cast<Number>(rows) == Number::float32) return with_row(Type<float>());
  if (static_cast<Number>(rows) == Number::bfloat16) return with_row(Type<bfloat16>());
  throw std::invalid_argument("embedding: no kernel for rows of dtype " + std::to_string(rows));
}

template <typename T>
bool quads_fit(const void *start, int64_t dim) {
  return aligned(start, dim * int64_t(sizeof(T)), kQuad * sizeof(T));
}

Launch groups_launch(const char *name, int64_t groups, int64_t threads, int group,
                     int64_t shared_bytes, void *stream) {
  const int64_t of_block = threads / group;
  const int64_t most = current_device().processors * kBlocksOfProcessor;
  const int64_t blocks = std::min((groups + of_block - 1) / of_block, most);
  return {name, dim3{unsigned(blocks)}, dim3{unsigned(threads)}, shared_bytes,
          static_cast<cudaStream_t>(stream)};
}

// Whether addresses and rows allow the kernels for common lengths to move whole packs.
template <typename W, typename T>
bool packs_fit(const void *weight, const void *out, int64_t dim) {
  constexpr int64_t kItems = kGatherItems<W, T>;
  return aligned(weight, dim * int64_t(sizeof(W)), kItems * sizeof(W)) &&
         aligned(out, dim * int64_t(sizeof(T)), kItems * sizeof(T));
}

int64_t sum_bytes(int64_t dim) { return rounded_up(dim, kQuad) * int64_t(sizeof(float)); }

// Threads per block for long spans: the order of a sum depends on them, so they do not depend on
// the device.
int64_t long_span_threads(int64_t dim, int group) {
  constexpr int64_t kMost = 512, kMostBytes = 48 * 1024;
  int64_t threads = kMost;
  while (threads > kWarp && threads / group * sum_bytes(dim) > kMostBytes) threads /= 2;
  return threads;
}

// Threads per block of the update; each group has a row's sum in shared memory.
int64_t update_threads(int64_t dim, int group) {
  const int64_t limit = current_device().shared_bytes;
  for (int64_t threads = kThreads; threads >= kWarp; threads /= 2)
    if (threads / group * sum_bytes(dim) <= limit) return threads;
  throw std::invalid_argument("embedding: rows of " + std::to_string(dim) +
                              " numbers do not fit into a block's shared memory of " +
                              std::to_string(limit) + " bytes");
}

}  // namespace
}  // namespace plumbline

using namespace plumbline;

const char *plumbline_embedding_gather(const void *weight, const int64_t *ids,
                                       const int64_t *first_row, const int64_t *cardinality,
                                       const int64_t *position, void *out, int64_t *outside,
                                       int64_t rows, int64_t columns, int64_t vectors,
                                       int64_t table_rows, int64_t dim, int weight_number,
                                       int out_number, void *stream) {
  return answered([=] {
    with_numbers(weight_number, out_number, [=](auto row_type, auto out_type) {
      using W = typename decltype(row_type)::type;
      using T = typename decltype(out_type)::type;
      const int64_t count = rows * columns;
      if (count == 0) return;
      const auto run_common = [&](auto known) {
        groups_launch("embedding_gather_common", count, kGatherThreads, 1, 0, stream)(
            embedding_gather_common<W, T, decltype(known)::value>,
            global<const W>(weight, table_rows * dim), global<const int64_t>(ids, count),
            global<const int64_t>(first_row, columns), global<const int64_t>(cardinality, columns),
            global<const int64_t>(position, columns), global<T>(out, rows * vectors * dim),
            global<long long>(outside, 1), count, columns, vectors);
      };
      if (packs_fit<W, T>(weight, out, dim) && with_common_dim(dim, run_common)) return;
      const VectorShape shape{dim, vectors, group_of(dim), quads_fit<W>(weight, dim),
                              quads_fit<T>(out, dim)};
      groups_launch("embedding_gather", count, kThreads, shape.group, 0, stream)(
          embedding_gather<W, T>, global<const W>(weight, table_rows * dim),
          global<const int64_t>(ids, count), global<const int64_t>(first_row, columns),
          global<const int64_t>(cardinality, columns), global<const int64_t>(position, columns),
          global<T>(out, rows * vectors * dim), global<long long>(outside, 1), count, columns,
          shape);
    });
  });
}

const char *plumbline_embedding_pool(const void *weight, const int64_t *ids, const int64_t *offsets,
                                     void *out, int64_t *outside, int64_t rows, int64_t count,
                                     int64_t first_row, int64_t cardinality, int64_t position,
                                     int64_t vectors, int64_t table_rows, int64_t dim, int mean,
                                     int weight_number, int out_number, void *stream) {
  return answered([=] {
    with_numbers(weight_number, out_number, [=](auto row_type, auto out_type) {
      using W = typename decltype(row_type)::type;
      using T = typename decltype(out_type)::type;
      if (rows == 0) return;
      const VectorShape shape{dim, vectors, group_of(dim), quads_fit<W>(weight, dim),
                              quads_fit<T>(out, dim)};
      groups_launch("embedding_pool", rows, kThreads, shape.group, 0, stream)(
          embedding_pool<W, T>, global<const W>(weight, table_rows * dim),
          global<const int64_t>(ids, count), global<const int64_t>(offsets, rows + 1),
          global<T>(out, rows * vectors * dim), global<long long>(outside, 2), rows, count,
          first_row, cardinality, position, mean != 0, shape);
    });
  });
}

int64_t plumbline_embedding_partial(int64_t count, int64_t dim) {
  return (count + kPart - 1) / kPart * 2 * rounded_up(dim, kQuad);
}

const char *plumbline_embedding_update(void *weight, float *state, const int64_t *row,
                                       const int64_t *source, const float *share,
                                       const void *gradient, float *partial, int64_t count,
                                       int64_t table_rows, int64_t gradient_rows, int64_t dim,
                                       int weight_number, int gradient_number, float learning_rate,
                                       float eps, float scale, uint32_t k0, uint32_t k1,
                                       void *stream) {
  return answered([=] {
    with_numbers(weight_number, gradient_number, [=](auto row_type, auto gradient_type) {
      using W = typename decltype(row_type)::type;
      using T = typename decltype(gradient_type)::type;
      if (count == 0) return;
      const int group = group_of(dim);
      const UpdateShape shape{count, dim, group, quads_fit<W>(weight, dim),
                              quads_fit<T>(gradient, dim)};
      const Step by{learning_rate, eps, scale, k0, k1};
      const int64_t threads = update_threads(dim, group), parts = (count + kPart - 1) / kPart;
      const int64_t shared_bytes = threads / group * sum_bytes(dim);
      const auto rows = global<const int64_t>(row, count);
      const auto weights = global<W>(weight, table_rows * dim);
      const auto states = global<float>(state, state ? table_rows : 0);
      const auto sources = global<const int64_t>(source, count);
      const auto shares = global<const float>(share, share ? count : 0);
      const auto gradients = global<const T>(gradient, gradient_rows * dim);
      const auto partials = global<float>(partial, plumbline_embedding_partial(count, dim));
      if (dim == group * kQuad && shape.wide_weight && shape.wide_gradient)
        groups_launch("embedding_update_parts_quads", parts, kThreads, kWarp,
                      kThreads / kWarp * PartMemory::kBytes, stream)(
            embedding_update_parts_quads<W, T>, weights, states, rows, sources, shares, gradients,
            partials, state != nullptr, share != nullptr, shape, by);
      else
        groups_launch("embedding_update_parts", parts, threads, group, shared_bytes, stream)(
            embedding_update_parts<W, T>, weights, states, rows, sources, shares, gradients,
            partials, state != nullptr, share != nullptr, shape, by);
      if (parts == 1) return;
      groups_launch("embedding_update_spans", parts - 1, threads, group, shared_bytes, stream)(
          embedding_update_spans<W>, weights, states, rows, partials, state != nullptr, shape, by);
      if (parts <= kLong + 1) return;
      const int64_t long_threads = long_span_threads(dim, group);
      groups_launch("embedding_update_long_spans", (parts + kLong - 1) / kLong, long_threads,
                    static_cast<int>(long_threads), long_threads / group * sum_bytes(dim),
                    stream)(embedding_update_long_spans<W>, weights, states, rows, partials,
                            state != nullptr, shape, by);
    });
  });
}
