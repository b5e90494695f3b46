// The Python bindings of the native module. plumbline/_native.pyi declares the functions.
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cstring>
#include <system_error>

#include "arrays.h"
#include "counting.h"
#include "encoder.h"
#include "exact_sums.h"
#include "hashes.h"
#include "index.h"
#include "parse.h"

namespace plumbline {
namespace {

using namespace nanobind::literals;

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

using PositionArguments = std::tuple<std::string, size_t, size_t>;
using OperationArguments = std::vector<std::pair<std::string, std::vector<double>>>;

Position position_of(const PositionArguments &given) {
  const auto &[kind, tensor, column] = given;
  if (kind != "numbers" && kind != "integers" && kind != "texts")
    throw std::invalid_argument("No kind of tensor is called '" + kind + "'");
  return {kind == "numbers"    ? Kind::kNumbers
          : kind == "integers" ? Kind::kIntegers
                               : Kind::kTexts,
          tensor, column};
}

std::vector<Operation> operations_of(const OperationArguments &given) {
  std::vector<Operation> operations;
  for (const auto &[name, numbers] : given) operations.push_back(Operation::named(name, numbers));
  return operations;
}

template <class Id>
void run_encoder(const Encoder &self, const Request &request, const Matrix<Id> &ids,
                 const Matrix<float> &dense) {
  const size_t rows = self.check(request, ids.columns(), dense.columns());
  if (rows == 0) return;
  const auto columns = [rows](const auto &matrix, const char *name, auto &into) {
    if (matrix.columns() > 0 && matrix.rows() != rows)
      throw std::invalid_argument(std::string(name) + ": wanted " + std::to_string(rows) +
                                  " rows, got " + std::to_string(matrix.rows()));
    for (size_t column = 0; column < matrix.columns(); ++column)
      into.push_back(matrix.column(column));
  };
  std::vector<Column<Id>> id_columns;
  std::vector<Column<float>> dense_columns;
  columns(ids, "ids_out", id_columns);
  columns(dense, "dense_out", dense_columns);
  unlocked([&] { self.run(request, id_columns, dense_columns); });
}

void bind_encoder(nb::module_ &m) {
  nb::class_<Encoder>(m, "Encoder")
      .def(nb::init<>())
      .def("add_look_up",
           [](Encoder &self, const PositionArguments &position, std::shared_ptr<Index> index,
              int64_t first, int64_t null, int64_t unseen, uint64_t unseen_slots, size_t out) {
             self.add_look_up(position_of(position), std::move(index),
                              {first, null, unseen, unseen_slots}, out);
           })
      .def("add_hash",
           [](Encoder &self, const PositionArguments &position, const OperationArguments &operations,
              uint64_t buckets, int64_t first, int64_t null, size_t out) {
             self.add_hash(position_of(position), operations_of(operations), buckets, first, null, out);
           })
      .def("add_bucketize",
           [](Encoder &self, const PositionArguments &position, const OperationArguments &operations,
              std::vector<double> boundaries, int64_t first, int64_t null, size_t out) {
             self.add_bucketize(position_of(position), operations_of(operations), std::move(boundaries),
                                first, null, out);
           })
      .def("add_chain",
           [](Encoder &self, const PositionArguments &position, const OperationArguments &operations,
              size_t out) { self.add_chain(position_of(position), operations_of(operations), out); })
      .def("run", [](const Encoder &self, nb::sequence numbers, nb::sequence integers,
                     nb::sequence texts, nb::handle ids_out, nb::handle dense_out) {
        Request request;
        for (nb::handle tensor : numbers) request.numbers.emplace_back(tensor, "numbers");
        for (nb::handle tensor : integers) request.integers.emplace_back(tensor, "integers");
        for (nb::handle pair : texts) {
          const auto [offsets, data] = nb::cast<std::pair<nb::object, nb::object>>(pair);
          request.texts.emplace_back(offsets, data, "texts");
        }
        const Matrix<float> dense(dense_out, "dense_out");
        if (Buffer(ids_out, "ids_out", true).holds<int32_t>()) {
          run_encoder(self, request, Matrix<int32_t>(ids_out, "ids_out"), dense);
        } else {
          run_encoder(self, request, Matrix<int64_t>(ids_out, "ids_out"), dense);
        }
      });
  m.def("pack_objects", [](nb::handle values) {
    const Vector<PyObject *const> from(values, "values");
    const auto column = from.column();
    auto offsets = std::make_unique_for_overwrite<int64_t[]>(column.size + 1);
    offsets[0] = 0;
    for (size_t row = 0; row < column.size; ++row) {
      PyObject *const object = column[row];
      if (object == nullptr || !PyBytes_Check(object))
        Buffer::refuse("row " + std::to_string(row), "wanted bytes",
                       std::string("got ") +
                           (object == nullptr ? "nothing" : Py_TYPE(object)->tp_name));
      offsets[row + 1] = offsets[row] + PyBytes_GET_SIZE(object);
    }
    const auto bytes = static_cast<size_t>(offsets[column.size]);
    auto data = std::make_unique_for_overwrite<uint8_t[]>(bytes);
    for (size_t row = 0; row < column.size; ++row)
      std::memcpy(data.get() + offsets[row], PyBytes_AS_STRING(column[row]),
                  static_cast<size_t>(offsets[row + 1] - offsets[row]));
    return nb::make_tuple(array_of(std::move(offsets), column.size + 1),
                          array_of(std::move(data), bytes));
  });
}

nb::object array_of_column(FieldColumn &column, size_t rows) {
  switch (column.field) {
    case Field::kContinuous:
      return array_of(std::move(column.numbers), rows);
    case Field::kInteger:
    case Field::kHex:
    case Field::kBoolean:
      return array_of(std::move(column.integers), rows);
    case Field::kLabel:
    case Field::kClicks:
      return array_of(std::move(column.labels), rows);
    case Field::kText:
      return nb::make_tuple(array_of(std::move(column.integers), rows + 1),
                            array_of(std::move(column.data), column.data_size));
    case Field::kSkip:
      break;
  }
  return nb::none();
}

void bind_parse(nb::module_ &m) {
  m.def("parse_lines", [](nb::handle text, int separator, bool is_ascii,
                          const std::vector<std::string> &fields, std::vector<std::string> missing,
                          std::vector<std::string> clicks) -> nb::object {
    static const std::pair<const char *, Field> known[] = {
        {"skip", Field::kSkip}, {"continuous", Field::kContinuous}, {"integer", Field::kInteger},
        {"hex", Field::kHex},   {"boolean", Field::kBoolean},       {"string", Field::kText},
        {"label", Field::kLabel}, {"clicks", Field::kClicks}};
    const Vector<const uint8_t> bytes(text, "text");
    const Lines lines{bytes.data("text"), bytes.size(), static_cast<uint8_t>(separator), is_ascii,
                      Words(std::move(missing)), Words(std::move(clicks))};
    std::vector<FieldColumn> columns(fields.size());
    for (size_t i = 0; i < fields.size(); ++i) {
      const auto found = std::find_if(std::begin(known), std::end(known),
                                      [&](const auto &pair) { return fields[i] == pair.first; });
      if (found == std::end(known))
        throw std::invalid_argument("No field is of kind '" + fields[i] + "'");
      columns[i].field = found->second;
    }
    size_t rows = 0;
    const bool is_plain = unlocked([&] {
      rows = count_lines(lines.text, lines.size);
      return parse_lines(lines, rows, columns);
    });
    if (!is_plain) return nb::none();
    nb::list arrays;
    for (FieldColumn &column : columns) arrays.append(array_of_column(column, rows));
    return arrays;
  });
}

}  // namespace
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
  plumbline::bind_encoder(m);
  plumbline::bind_parse(m);
}
