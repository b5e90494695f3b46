#include "module.h"

namespace plumbline {

void bind_embedding(nanobind::module_ &) {}

}  // namespace plumbline
