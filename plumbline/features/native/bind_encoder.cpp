#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>

#include "binding.h"
#include "encoder.h"

namespace plumbline {
namespace {

using Outputs = std::vector<std::pair<size_t, size_t>>;

Position position_of(const std::string &tensor, size_t index, size_t column) {
  static constexpr std::pair<const char *, Position::Kind> kinds[] = {
      {"numbers", Position::Kind::kNumbers}, {"doubles", Position::Kind::kDoubles},
      {"integers", Position::Kind::kIntegers}, {"texts", Position::Kind::kTexts}};
  for (const auto &[name, kind] : kinds)
    if (tensor == name) return {kind, index, column};
  throw std::invalid_argument("No kind of tensor is called '" + tensor + "'");
}

std::vector<Encoder::Output> outputs_of(const Outputs &pairs) {
  std::vector<Encoder::Output> outputs;
  for (const auto &[node, column] : pairs) outputs.push_back({node, column});
  return outputs;
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

}  // namespace

void bind_encoder(nb::module_ &m) {
  nb::class_<Encoder>(m, "Encoder")
      .def(nb::init<>())
      .def("raw_column",
           [](Encoder &self, const std::string &tensor, size_t index, size_t column) {
             return self.raw_column(position_of(tensor, index, column));
           })
      .def("operation",
           [](Encoder &self, const std::string &name, std::vector<double> numbers, size_t source) {
             return self.operation(source, Operation::named(name, std::move(numbers)));
           })
      .def("bucketize", [](Encoder &self, std::vector<double> boundaries,
                           size_t source) { return self.bucketize(source, std::move(boundaries)); })
      .def("hash_bucket", [](Encoder &self, uint64_t buckets, std::vector<size_t> parts) {
        return self.hash_bucket(std::move(parts), buckets);
      })
      .def("key", &Encoder::key)
      .def("look_up", [](Encoder &self, std::shared_ptr<Index> index,
                         size_t source) { return self.look_up(source, std::move(index)); })
      .def("look_up_ids",
           [](Encoder &self, std::shared_ptr<Index> index, int64_t first, int64_t null, int64_t unseen,
              uint64_t unseen_slots, size_t source, const std::vector<size_t> &parts) {
             return self.look_up_ids(source, std::move(index), parts,
                                     {first, null, unseen, unseen_slots});
           })
      .def("numbers_at",
           [](Encoder &self, nb::handle values, double null, double unseen, size_t positions,
              const std::vector<size_t> &parts) {
             const Vector<const double> given(values, "values");
             const double *const first = given.data("values");
             std::vector<double> numbers(first, first + given.size());
             return self.numbers_at(positions, parts, {std::move(numbers), null, unseen});
           })
      .def("integers_at",
           [](Encoder &self, nb::handle values, int64_t null, size_t positions,
              const std::vector<size_t> &parts) {
             const Vector<const int64_t> given(values, "values");
             const int64_t *const first = given.data("values");
             std::vector<int64_t> integers(first, first + given.size());
             return self.integers_at(positions, parts, {std::move(integers), null});
           })
      .def("texts_at",
           [](Encoder &self, nb::handle offsets, nb::handle data, nb::bytes null, size_t positions,
              const std::vector<size_t> &parts) {
             const TextArrays given(offsets, data, "values");
             const Strings &texts = given.strings();
             return self.texts_at(
                 positions, parts,
                 {{texts.offsets, texts.offsets + texts.size + 1},
                  {texts.data, texts.data + texts.offsets[texts.size]},
                  {null.c_str(), null.size()}});
           })
      .def("fill_integers", [](Encoder &self, int64_t value,
                               size_t source) { return self.fill_integers(source, value); })
      .def("fill_texts",
           [](Encoder &self, nb::bytes value, size_t source) {
             return self.fill_texts(source, std::string(value.c_str(), value.size()));
           })
      .def("date_part",
           [](Encoder &self, const std::string &part, int64_t offset, size_t times) {
             return self.date_part(times, DatePart::named(part, offset));
           })
      .def("seconds", [](Encoder &self, int64_t since,
                         std::vector<size_t> times) { return self.seconds(std::move(times), since); })
      .def("arithmetic",
           [](Encoder &self, const std::string &operation, double constant, double by_zero,
              std::vector<size_t> sources) {
             return self.arithmetic(std::move(sources), arithmetic_named(operation), constant, by_zero);
           })
      .def("compare_numbers",
           [](Encoder &self, const std::string &relation, double constant, size_t source) {
             return self.compare_numbers(source, relation_named(relation), constant);
           })
      .def("compare_integers",
           [](Encoder &self, const std::string &relation, int64_t constant, size_t source) {
             return self.compare_integers(source, relation_named(relation), constant);
           })
      .def("range_ids", [](Encoder &self, int64_t first, int64_t last,
                           size_t source) { return self.range_ids(source, first, last); })
      .def("set_outputs", [](Encoder &self, const Outputs &ids, const Outputs &numbers) {
        self.set_outputs(outputs_of(ids), outputs_of(numbers));
      })
      .def("run", [](const Encoder &self, nb::sequence numbers, nb::sequence doubles,
                     nb::sequence integers, nb::sequence texts, nb::handle ids_out,
                     nb::handle dense_out) {
        Request request;
        for (nb::handle tensor : numbers) request.numbers.emplace_back(tensor, "numbers");
        for (nb::handle tensor : doubles) request.doubles.emplace_back(tensor, "doubles");
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
}

}  // namespace plumbline
