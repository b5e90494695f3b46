#include <nanobind/ndarray.h>
#include <nanobind/stl/tuple.h>

#include "module.h"
#include "scoring.h"

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
using Column = std::tuple<int64_t, int64_t, int64_t>;

void require(bool met, const char *wanted) {
  if (!met) throw std::invalid_argument(std::string("scoring: wanted ") + wanted);
}

LayerWeights weights_of(const Layer &layer) {
  const auto &[weight, bias] = layer;
  require(weight.shape(0) == bias.shape(0), "as many biases as outputs");
  return {weight.data(), bias.data(), static_cast<int64_t>(weight.shape(1)),
          static_cast<int64_t>(weight.shape(0))};
}

std::vector<LayerWeights> weights_of(const std::vector<Layer> &layers) {
  std::vector<LayerWeights> weights;
  for (const auto &layer : layers) weights.push_back(weights_of(layer));
  return weights;
}

void make(ScoringModel *model, const std::string &set, int dtype, uintptr_t weight, int row_dtype,
          int64_t dim, int64_t continuous, const std::vector<Column> &singles,
          const std::vector<Column> &lists, int pooling, const std::vector<Numbers> &position_weights,
          const std::vector<Layer> &bottom, const std::vector<Layer> &top, const Layer &last) {
  ScoringSpec spec;
  spec.dtype = static_cast<Dtype>(dtype);
  spec.tables = {reinterpret_cast<const void *>(weight), static_cast<Dtype>(row_dtype), dim};
  spec.continuous = continuous;
  for (const auto &[first_row, cardinality, position] : singles) {
    spec.first_row.push_back(first_row);
    spec.cardinality.push_back(cardinality);
    spec.position.push_back(position);
  }
  for (const auto &[first_row, cardinality, position] : lists)
    spec.lists.push_back({first_row, cardinality, position, {}});
  spec.pooling = Pooling{pooling};
  const bool weighted = spec.pooling == Pooling::position_weighted;
  require(position_weights.size() == (weighted ? lists.size() : 0),
          "the weights of each list column's positions, for that pooling only");
  for (size_t list = 0; list < position_weights.size(); ++list) {
    const Numbers &weights = position_weights[list];
    require(weights.shape(0) > 0, "a position at least");
    spec.lists[list].weights.assign(weights.data(), weights.data() + weights.shape(0));
  }
  spec.bottom = weights_of(bottom);
  spec.top = weights_of(top);
  spec.last = weights_of(last);
  require(spec.last.outputs == 1, "one logit");
  new (model) ScoringModel(instruction_set(set), spec);
}

bool score(const ScoringModel &model, const Ids &ids, const Dense &dense,
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
      .def("score", &score, "ids"_a, "dense"_a, "lists"_a, "probability"_a, "threads"_a);
}

}  // namespace plumbline
