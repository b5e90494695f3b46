// The functions that each bind_<operator>.cpp adds to the module.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

namespace plumbline {

void bind_interaction(nanobind::module_ &m);
void bind_embedding(nanobind::module_ &m);
void bind_relu_gradient(nanobind::module_ &m);
void bind_scoring(nanobind::module_ &m);

}  // namespace plumbline
