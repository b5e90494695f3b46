#include "module.h"

namespace plumbline {

void bind_interaction(nanobind::module_ &) {}

}  // namespace plumbline
