// Shared by the Python bindings of the native module.
#pragma once

#include <nanobind/ndarray.h>

#include <memory>
#include <type_traits>

#include "arrays.h"

namespace plumbline {

// Runs `work` without the GIL.
template <class Work>
auto unlocked(Work work) {
  nb::gil_scoped_release released;
  return work();
}

// A NumPy array that owns `memory`.
template <class T>
nb::object array_of(std::unique_ptr<T[]> memory, size_t size) {
  T *const data = memory.release();
  nb::capsule owner(data, [](void *p) noexcept { delete[] static_cast<T *>(p); });
  nb::object array = nb::cast(nb::ndarray<nb::numpy, T, nb::ndim<1>>(data, {size}, owner));
  // NumPy has two 64-bit integer types; make it the one that np.int64 is.
  return std::is_same_v<T, int64_t> ? array.attr("view")("int64") : array;
}

void bind_hashes(nb::module_ &m);
void bind_counting(nb::module_ &m);
void bind_exact_sums(nb::module_ &m);
void bind_index(nb::module_ &m);
void bind_columns(nb::module_ &m);
void bind_encoder(nb::module_ &m);
void bind_parse(nb::module_ &m);

}  // namespace plumbline
