#include <nanobind/stl/pair.h>

#include <cstring>
#include <optional>
#include <vector>

#include "binding.h"
#include "columns.h"
#include "distinct.h"

namespace plumbline {
namespace {

// A column of integers, or the offsets and data of text.
struct KeyPart {
  explicit KeyPart(nb::handle part) {
    if (nb::isinstance<nb::tuple>(part)) {
      const auto [offsets, data] = nb::cast<std::pair<nb::object, nb::object>>(part);
      values = texts.emplace(offsets, data, "part").strings();
      rows = texts->strings().size;
    } else {
      values = integers.emplace(part, "part").column();
      rows = integers->size();
    }
  }
  std::optional<TextArrays> texts;
  std::optional<Vector<const int64_t>> integers;
  Values values;
  size_t rows = 0;
};

nb::object pack_keys_of(nb::sequence given) {
  std::vector<KeyPart> parts;
  for (nb::handle part : given) parts.emplace_back(part);
  const size_t rows = parts.empty() ? 0 : parts[0].rows;
  std::vector<const Values *> columns;
  for (const KeyPart &part : parts) {
    if (part.rows != rows) throw std::invalid_argument("The parts of a key differ in their rows");
    columns.push_back(&part.values);
  }
  auto offsets = std::make_unique_for_overwrite<int64_t[]>(rows + 1);
  std::unique_ptr<uint8_t[]> data;
  unlocked([&] {
    const int64_t bytes = key_offsets(columns, rows, offsets.get());
    data = std::make_unique_for_overwrite<uint8_t[]>(static_cast<size_t>(bytes));
    pack_keys(columns, rows, offsets.get(), data.get());
  });
  const auto bytes = static_cast<size_t>(offsets[rows]);
  return nb::make_tuple(array_of(std::move(offsets), rows + 1), array_of(std::move(data), bytes));
}

nb::object arrays_of(Distinct distinct, size_t rows) {
  return nb::make_tuple(array_of(std::move(distinct.rows), distinct.size),
                        array_of(std::move(distinct.index), rows));
}

}  // namespace

void bind_columns(nb::module_ &m) {
  m.def("distinct_integers", [](nb::handle values) {
    const Vector<const int64_t> from(values, "values");
    return arrays_of(unlocked([&] { return distinct_integers(from.column()); }), from.size());
  });
  m.def("distinct_texts", [](nb::handle offsets, nb::handle data) {
    const TextArrays text(offsets, data, "text");
    const Strings &strings = text.strings();
    return arrays_of(unlocked([&] { return distinct_texts(strings); }), strings.size);
  });
  m.def("pack_keys", pack_keys_of);
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

}  // namespace plumbline
