// The Python bindings of the native module. plumbline/_native.pyi declares the functions.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>

#include <system_error>

#include "binding.h"
#include "counting.h"
#include "exact_sums.h"
#include "hashes.h"
#include "index.h"

namespace plumbline {

using namespace nanobind::literals;

void bind_hashes(nb::module_ &m) {
  m.def("hash_integers", [](nb::handle values, nb::handle out) {
    const Vector<const int64_t> from(values, "values");
    const Vector<uint64_t> to(out, "out");
    uint64_t *const hashes = to.data("out", from.size());
    unlocked([&] { pandas_integer_hashes(from.column(), hashes); });
  });
  m.def("hash_numbers", [](nb::handle values, nb::handle out) {
    const Vector<const double> from(values, "values");
    const Vector<uint64_t> to(out, "out");
    uint64_t *const hashes = to.data("out", from.size());
    unlocked([&] { pandas_number_hashes(from.column(), hashes); });
  });
  m.def("hash_text", [](nb::handle offsets, nb::handle data, nb::handle out) {
    const TextArrays text(offsets, data, "text");
    const Strings &strings = text.strings();
    const Vector<uint64_t> to(out, "out");
    uint64_t *const hashes = to.data("out", strings.size);
    unlocked([&] {
      for (size_t row = 0; row < strings.size; ++row)
        hashes[row] = pandas_text_hash(strings.at(row), strings.length(row));
    });
  });
}

void bind_counting(nb::module_ &m) {
  nb::class_<IntegerCounter>(m, "IntegerCounter")
      .def(nb::init<>())
      .def("__len__", &IntegerCounter::size)
      .def("add",
           [](IntegerCounter &self, nb::handle values) {
             const Vector<const int64_t> from(values, "values");
             unlocked([&] { self.add(from.column()); });
           })
      .def("add_counted",
           [](IntegerCounter &self, nb::handle values, nb::handle counts) {
             const Vector<const int64_t> from(values, "values"), given(counts, "counts");
             const int64_t *const times = given.data("counts", from.size());
             unlocked([&] { self.add_counted(from.column(), times); });
           })
      .def("counts", [](const IntegerCounter &self, uint64_t minimum, std::optional<size_t> limit) {
        IntegerCounts counted = unlocked([&] { return self.counts(minimum, limit); });
        return nb::make_tuple(array_of(std::move(counted.values), counted.size),
                              array_of(std::move(counted.counts), counted.size));
      }, "minimum"_a, "limit"_a.none());
  nb::class_<TextCounter>(m, "TextCounter")
      .def(nb::init<>())
      .def("__len__", &TextCounter::size)
      .def("add",
           [](TextCounter &self, nb::handle offsets, nb::handle data) {
             const TextArrays text(offsets, data, "text");
             unlocked([&] { self.add(text.strings()); });
           })
      .def("add_counted",
           [](TextCounter &self, nb::handle offsets, nb::handle data, nb::handle counts) {
             const TextArrays text(offsets, data, "text");
             const Vector<const int64_t> given(counts, "counts");
             const int64_t *const times = given.data("counts", text.strings().size);
             unlocked([&] { self.add_counted(text.strings(), times); });
           })
      .def("counts", [](const TextCounter &self, uint64_t minimum, std::optional<size_t> limit) {
        TextCounts counted = unlocked([&] { return self.counts(minimum, limit); });
        return nb::make_tuple(array_of(std::move(counted.offsets), counted.size + 1),
                              array_of(std::move(counted.data), counted.bytes),
                              array_of(std::move(counted.counts), counted.size));
      }, "minimum"_a, "limit"_a.none());
}

void bind_exact_sums(nb::module_ &m) {
  m.def("bit_span", [](nb::handle numbers) -> nb::object {
    const Vector<const double> from(numbers, "numbers");
    const BitSpan span = unlocked([&] { return bit_span(from.column()); });
    if (span.is_empty) return nb::none();
    return nb::make_tuple(span.lowest, span.highest);
  });
  m.def("add_exactly", [](nb::handle numbers, nb::handle group, bool squared, nb::handle limbs,
                          nb::handle infinite, int64_t low) {
    const Vector<const double> from(numbers, "numbers");
    const Vector<uint8_t> marks(infinite, "infinite");
    const Matrix<int64_t> matrix(limbs, "limbs");
    const size_t groups = matrix.rows(), planes = matrix.columns();
    if (planes > 1 && matrix.column(1).first != matrix.column(0).first + sizeof(int64_t))
      Buffer::refuse("limbs", "wanted a contiguous array", "got a strided one");
    if (groups > 1 &&
        matrix.column(0).stride != static_cast<ptrdiff_t>(planes * sizeof(int64_t)))
      Buffer::refuse("limbs", "wanted a contiguous array", "got a strided one");
    const Limbs sums{planes > 0 ? matrix.column(0).data() : nullptr,
                     marks.data("infinite", groups), groups, planes, low};
    std::optional<Vector<const int64_t>> groups_of_rows;
    if (!group.is_none()) groups_of_rows.emplace(group, "group");
    const int64_t *const of_rows =
        groups_of_rows ? groups_of_rows->data("group", from.size()) : nullptr;
    unlocked([&] { add_exactly(from.column(), of_rows, squared, sums); });
  }, "numbers"_a, "group"_a.none(), "squared"_a, "limbs"_a, "infinite"_a, "low"_a);
}

void bind_index(nb::module_ &m) {
  m.def("build_integer_index", [](const std::string &file, nb::handle values) {
    const Vector<const int64_t> from(values, "values");
    unlocked([&] { build_integer_index(file, from.column()); });
  });
  m.def("build_text_index", [](const std::string &file, nb::handle offsets, nb::handle data) {
    const TextArrays text(offsets, data, "text");
    unlocked([&] { build_text_index(file, text.strings()); });
  });
  nb::class_<Index>(m, "Index")
      .def(
          "__init__",
          [](Index *self, const std::string &file, bool is_text, size_t count, size_t homes,
             size_t buckets, size_t data_bytes) {
            nb::gil_scoped_release released;
            new (self) Index(file, {is_text, count, homes, buckets, data_bytes});
          },
          "file"_a, nb::kw_only(), "is_text"_a, "count"_a, "homes"_a, "buckets"_a, "data_bytes"_a)
      .def("__len__", &Index::size)
      .def("positions",
           [](const Index &self, nb::handle values, nb::handle out) {
             if (self.is_text())
               throw nb::type_error("positions: wanted an index of integers, got one of text.");
             const Vector<const int64_t> from(values, "values");
             const Vector<int64_t> to(out, "out");
             int64_t *const positions = to.data("out", from.size());
             unlocked([&] { self.positions(from.column(), positions); });
           })
      .def("text_positions", [](const Index &self, nb::handle offsets, nb::handle data,
                                nb::handle out) {
        if (!self.is_text())
          throw nb::type_error("text_positions: wanted an index of text, got one of integers.");
        const TextArrays text(offsets, data, "text");
        const Vector<int64_t> to(out, "out");
        int64_t *const positions = to.data("out", text.strings().size);
        unlocked([&] { self.positions(text.strings(), positions); });
      });
}

}  // namespace plumbline

NB_MODULE(_native, m) {
  nanobind::set_leak_warnings(false);  // objects that live until the interpreter exits are not leaks
  nanobind::register_exception_translator([](const std::exception_ptr &raised, void *) {
    try {
      std::rethrow_exception(raised);
    } catch (const std::system_error &error) {
      PyErr_SetString(PyExc_OSError, error.what());
    }
  });
  plumbline::bind_hashes(m);
  plumbline::bind_counting(m);
  plumbline::bind_exact_sums(m);
  plumbline::bind_index(m);
  plumbline::bind_columns(m);
  plumbline::bind_encoder(m);
  plumbline::bind_parse(m);
}
