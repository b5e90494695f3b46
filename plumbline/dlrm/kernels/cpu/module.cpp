// The Python module of the CPU kernels; plumbline/dlrm/_kernels.pyi describes its functions.
#include "module.h"

#include "instruction_set.h"

namespace nb = nanobind;

NB_MODULE(_kernels, m) {
  m.def("instruction_sets", &plumbline::instruction_sets);
  plumbline::bind_interaction(m);
  plumbline::bind_embedding(m);
  plumbline::bind_relu_gradient(m);
  plumbline::bind_scoring(m);
}
