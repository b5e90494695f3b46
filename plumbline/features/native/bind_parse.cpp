#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>

#include "binding.h"
#include "parse.h"

namespace plumbline {
namespace {

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

}  // namespace

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

}  // namespace plumbline
