#include <nanobind/ndarray.h>
#include <nanobind/stl/tuple.h>

#include "module.h"
#include "scoring.h"
#include "scoring_int8.h"

namespace plumbline {
namespace {

namespace nb = nanobind;
using namespace nb::literals;

using Ids = nb::ndarray<const int64_t, nb::ndim<2>, nb::device::cpu>;
using Dense = nb::ndarray<const float, nb::ndim<2>, nb::device::cpu>;
using Row = nb::ndarray<const int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Probability = nb::ndarray<float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Weight = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Numbers = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Layer = std::tuple<Weight, Numbers>;
using Int8Weight = nb::ndarray<const int8_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using QuantizedLayer = std::tuple<Int8Weight, Numbers, Numbers>;
using Column = std::tuple<int64_t, int64_t, int64_t>;

void require(bool met, const char *wanted) {
  if (!met) throw std::invalid_argument(std::string("scoring: wanted ") + wanted);
}

LayerWeights weights_of(const Layer &layer) {
  const auto &[weight, bias] = layer;
  require(weight.shape(0) == bias.shape(0), "as many biases as outputs");
  return {{static_cast<int64_t>(weight.shape(1)), static_cast<int64_t>(weight.shape(0))},
          weight.data(),
          bias.data()};
}

std::vector<LayerWeights> weights_of(const std::vector<Layer> &layers) {
  std::vector<LayerWeights> weights;
  for (const auto &layer : layers) weights.push_back(weights_of(layer));
  return weights;
}

std::vector<Int8LayerWeights> weights_of(const std::vector<QuantizedLayer> &layers) {
  std::vector<Int8LayerWeights> weights;
  for (const auto &[weight, scale, bias] : layers) {
    require(weight.shape(0) == scale.shape(0) && weight.shape(0) == bias.shape(0),
            "as many scales and biases as outputs");
    weights.push_back(
        {{static_cast<int64_t>(weight.shape(1)), static_cast<int64_t>(weight.shape(0))},
         weight.data(),
         scale.data(),
         bias.data()});
  }
  return weights;
}

IdColumns columns_of(const std::vector<Column> &singles, const std::vector<Column> &lists,
                     int pooling, const std::vector<Numbers> &position_weights) {
  IdColumns columns;
  for (const auto &[first_row, cardinality, position] : singles) {
    columns.first_row.push_back(first_row);
    columns.cardinality.push_back(cardinality);
    columns.position.push_back(position);
  }
  for (const auto &[first_row, cardinality, position] : lists)
    columns.lists.push_back({first_row, cardinality, position, {}});
  columns.pooling = Pooling{pooling};
  const bool weighted = columns.pooling == Pooling::position_weighted;
  require(position_weights.size() == (weighted ? lists.size() : 0),
          "weights of each list column's positions, for that pooling only");
  for (size_t list = 0; list < position_weights.size(); ++list) {
    const Numbers &weights = position_weights[list];
    require(weights.shape(0) > 0, "a weight of a position at least");
    columns.lists[list].weights.assign(weights.data(), weights.data() + weights.shape(0));
  }
  return columns;
}

void make(ScoringModel *model, const std::string &set, int dtype, uintptr_t weight, int row_dtype,
          int64_t dim, int64_t continuous, const std::vector<Column> &singles,
          const std::vector<Column> &lists, int pooling, const std::vector<Numbers> &position_weights,
          const std::vector<Layer> &bottom, const std::vector<Layer> &top, const Layer &last) {
  ScoringSpec spec;
  spec.dtype = static_cast<Dtype>(dtype);
  spec.tables = {reinterpret_cast<const void *>(weight), static_cast<Dtype>(row_dtype), dim};
  spec.continuous = continuous;
  spec.columns = columns_of(singles, lists, pooling, position_weights);
  spec.bottom = weights_of(bottom);
  spec.top = weights_of(top);
  spec.last = weights_of(last);
  new (model) ScoringModel(instruction_set(set), spec);
}

void make_int8(Int8ScoringModel *model, const std::string &set, uintptr_t weight,
               uintptr_t scale, int64_t dim, int64_t continuous,
               const std::vector<Column> &singles, const std::vector<Column> &lists, int pooling,
               const std::vector<Numbers> &position_weights,
               const std::vector<Layer> &first, const std::vector<QuantizedLayer> &bottom,
               const std::vector<QuantizedLayer> &top, const Layer &last) {
  require((continuous > 0) == (first.size() == 1), "one first layer with continuous columns");
  new (model) Int8ScoringModel(
      instruction_set(set),
      {{reinterpret_cast<const int8_t *>(weight), reinterpret_cast<const float *>(scale), dim},
       continuous,
       columns_of(singles, lists, pooling, position_weights),
       weights_of(first),
       weights_of(bottom),
       weights_of(top),
       weights_of(last)});
}

template <class Model>
bool score(const Model &model, const Ids &ids, const Dense &dense,
           const std::vector<std::tuple<Row, Row>> &lists, const Probability &probability,
           int threads) {
  const auto rows = static_cast<int64_t>(probability.shape(0));
  EncodedRows encoded{rows,
                      {ids.data(), ids.stride(0), ids.stride(1)},
                      {dense.data(), dense.stride(0), dense.stride(1)},
                      {}};
  require(static_cast<int64_t>(ids.shape(0)) == rows && static_cast<int64_t>(dense.shape(0)) == rows,
          "as many ids and floats as probabilities");
  require(model.takes(static_cast<int64_t>(ids.shape(1)), static_cast<int64_t>(dense.shape(1)),
                      lists.size()),
          "the model's columns");
  for (const auto &[list, offsets] : lists) {
    require(static_cast<int64_t>(offsets.shape(0)) == rows + 1, "an offset more than rows");
    encoded.lists.push_back({list.data(), static_cast<int64_t>(list.shape(0)), offsets.data()});
  }
  const nb::gil_scoped_release released;
  return model.score(encoded, probability.data(), threads);
}

}  // namespace

void bind_scoring(nb::module_ &m) {
  nb::class_<ScoringModel>(m, "ScoringModel")
      .def("__init__", &make, "instruction_set"_a, "dtype"_a, "tables"_a, "row_dtype"_a, "dim"_a,
           "continuous"_a, "singles"_a, "lists"_a, "pooling"_a, "position_weights"_a, "bottom"_a,
           "top"_a, "last"_a)
      .def("score", &score<ScoringModel>, "ids"_a, "dense"_a, "lists"_a, "probability"_a,
           "threads"_a);
  nb::class_<Int8ScoringModel>(m, "Int8ScoringModel")
      .def("__init__", &make_int8, "instruction_set"_a, "tables"_a, "scales"_a, "dim"_a,
           "continuous"_a, "singles"_a, "lists"_a, "pooling"_a, "position_weights"_a, "first"_a,
           "bottom"_a, "top"_a, "last"_a)
      .def("score", &score<Int8ScoringModel>, "ids"_a, "dense"_a, "lists"_a, "probability"_a,
           "threads"_a);
}

}  // namespace plumbline
