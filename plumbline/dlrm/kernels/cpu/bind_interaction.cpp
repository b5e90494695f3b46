#include "interaction.h"
#include "module.h"

namespace plumbline {
namespace {

namespace nb = nanobind;

template <class Type = void>
Type *pointer(uintptr_t address) {
  return reinterpret_cast<Type *>(address);
}

interaction::Shape shape_of(int64_t rows, int64_t features, int64_t dim, uintptr_t dense) {
  return {rows, features, dim, dense != 0};
}

void forward(const std::string &set, int dtype, int64_t rows, int64_t features, int64_t dim,
             uintptr_t dense, uintptr_t embeddings, uintptr_t out, int threads) {
  interaction::forward(instruction_set(set), Dtype{dtype},
                       shape_of(rows, features, dim, dense), pointer<const void>(dense),
                       pointer<const void>(embeddings), pointer(out), threads);
}

void backward(const std::string &set, int dtype, int64_t rows, int64_t features, int64_t dim,
              uintptr_t gradient, uintptr_t dense, uintptr_t embeddings, uintptr_t dense_gradient,
              uintptr_t embedding_gradient, int threads) {
  interaction::backward(instruction_set(set), Dtype{dtype},
                        shape_of(rows, features, dim, dense), pointer<const void>(gradient),
                        pointer<const void>(dense), pointer<const void>(embeddings),
                        pointer(dense_gradient), pointer(embedding_gradient), threads);
}

}  // namespace

void bind_interaction(nb::module_ &m) {
  using nb::arg;
  m.def("interaction_forward", &forward, arg("instruction_set"), arg("dtype"), arg("rows"),
        arg("features"), arg("dim"), arg("dense"), arg("embeddings"), arg("out"), arg("threads"),
        nb::call_guard<nb::gil_scoped_release>());
  m.def("interaction_backward", &backward, arg("instruction_set"), arg("dtype"), arg("rows"),
        arg("features"), arg("dim"), arg("gradient"), arg("dense"), arg("embeddings"),
        arg("dense_gradient"), arg("embedding_gradient"), arg("threads"),
        nb::call_guard<nb::gil_scoped_release>());
}

}  // namespace plumbline
