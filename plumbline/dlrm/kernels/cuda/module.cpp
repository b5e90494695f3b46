// The Python side of the CUDA kernels: api.h with addresses as numbers. plumbline/dlrm/_kernels_cuda.pyi says
// what each function takes. Importing it needs neither a GPU nor a driver.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <cstdint>
#include <stdexcept>
#include <string>

#include "api.h"

namespace nb = nanobind;

// What ptxas said when it compiled the kernels: made by compile.cmake.
extern const char plumbline_interaction_resources[];
extern const char plumbline_embedding_resources[];

namespace {

using Address = uintptr_t;

template <typename T = void>
T *at(Address address) {
  return reinterpret_cast<T *>(address);
}

void require(const char *answer) {
  if (answer != nullptr) throw std::runtime_error(answer);
}

void interaction_forward(Address dense, Address embeddings, Address out, int64_t rows,
                         int64_t features, int64_t dim, int number, Address stream) {
  require(plumbline_interaction_forward(at(dense), at(embeddings), at(out), rows, features, dim,
                                        number, at(stream)));
}

void interaction_backward(Address gradient, Address dense, Address embeddings,
                          Address dense_gradient, Address embedding_gradient, int64_t rows,
                          int64_t features, int64_t dim, int number, Address stream) {
  require(plumbline_interaction_backward(at(gradient), at(dense), at(embeddings),
                                         at(dense_gradient), at(embedding_gradient), rows, features,
                                         dim, number, at(stream)));
}

void embedding_gather(Address weight, Address ids, Address first_row, Address cardinality,
                      Address position, Address out, Address outside, int64_t rows, int64_t columns,
                      int64_t vectors, int64_t table_rows, int64_t dim, int weight_number,
                      int out_number, Address stream) {
  require(plumbline_embedding_gather(at(weight), at<int64_t>(ids), at<int64_t>(first_row),
                                     at<int64_t>(cardinality), at<int64_t>(position), at(out),
                                     at<int64_t>(outside), rows, columns, vectors, table_rows, dim,
                                     weight_number, out_number, at(stream)));
}

void embedding_pool(Address weight, Address ids, Address offsets, Address out, Address outside,
                    int64_t rows, int64_t count, int64_t first_row, int64_t cardinality,
                    int64_t position, int64_t vectors, int64_t table_rows, int64_t dim, bool mean,
                    int weight_number, int out_number, Address stream) {
  require(plumbline_embedding_pool(at(weight), at<int64_t>(ids), at<int64_t>(offsets), at(out),
                                   at<int64_t>(outside), rows, count, first_row, cardinality,
                                   position, vectors, table_rows, dim, mean, weight_number, out_number,
                                   at(stream)));
}

void embedding_update(Address weight, Address state, Address row, Address source, Address share,
                      Address gradient, Address partial, int64_t count, int64_t table_rows,
                      int64_t gradient_rows, int64_t dim, int weight_number, int gradient_number,
                      float learning_rate, float eps, float scale, uint32_t k0, uint32_t k1,
                      Address stream) {
  require(plumbline_embedding_update(
      at(weight), at<float>(state), at<int64_t>(row), at<int64_t>(source), at<float>(share),
      at(gradient), at<float>(partial), count, table_rows, gradient_rows, dim, weight_number,
      gradient_number, learning_rate, eps, scale, k0, k1, at(stream)));
}

std::string resources() {
  return std::string(plumbline_interaction_resources) + plumbline_embedding_resources;
}

}  // namespace

NB_MODULE(_kernels_cuda, m) {
  using Released = nb::call_guard<nb::gil_scoped_release>;
  m.def("interaction_forward", &interaction_forward, Released());
  m.def("interaction_backward", &interaction_backward, Released());
  m.def("embedding_gather", &embedding_gather, Released());
  m.def("embedding_pool", &embedding_pool, Released());
  m.def("embedding_partial", &plumbline_embedding_partial);
  m.def("embedding_update", &embedding_update, Released());
  m.def("resources", &resources);
}
