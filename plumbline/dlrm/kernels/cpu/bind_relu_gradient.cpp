#include "module.h"
#include "relu_gradient.h"

namespace plumbline {
namespace {

namespace nb = nanobind;
using namespace nb::literals;

void gradient_of(const std::string &set, int dtype, int64_t rows, int64_t columns,
                 uintptr_t gradient, uintptr_t output, uintptr_t kept, uintptr_t bias_gradient,
                 int threads) {
  const ReluGradient work{reinterpret_cast<const void *>(gradient),
                          reinterpret_cast<const void *>(output), reinterpret_cast<void *>(kept),
                          rows, columns};
  relu_gradient(instruction_set(set), Dtype{dtype}, work,
                reinterpret_cast<float *>(bias_gradient), threads);
}

}  // namespace

void bind_relu_gradient(nb::module_ &m) {
  m.def("relu_gradient", &gradient_of, "instruction_set"_a, "dtype"_a, "rows"_a, "columns"_a,
        "gradient"_a, "output"_a, "kept"_a, "bias_gradient"_a, "threads"_a,
        nb::call_guard<nb::gil_scoped_release>());
}

}  // namespace plumbline
