// The Python side of the CPU kernels. plumbline/dlrm/_kernels.pyi says what each function takes.
#include "module.h"

#include "instruction_set.h"

namespace nb = nanobind;

NB_MODULE(_kernels, m) {
  m.def("instruction_sets", &plumbline::instruction_sets);
  plumbline::bind_interaction(m);
  plumbline::bind_embedding(m);
  plumbline::bind_scoring(m);
}
