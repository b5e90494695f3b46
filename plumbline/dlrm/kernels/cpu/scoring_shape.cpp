#include "scoring_shape.h"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace plumbline {
namespace {

// The outputs of the last layer.
int64_t require_widths(const std::vector<LayerShape> &layers, int64_t inputs) {
  for (const auto &layer : layers) {
    if (layer.inputs != inputs || layer.outputs < 1)
      throw std::invalid_argument("scoring: a layer wants " + std::to_string(layer.inputs) +
                                  " inputs, got " + std::to_string(inputs));
    inputs = layer.outputs;
  }
  return inputs;
}

}  // namespace

void NetworkShape::check() const {
  if (continuous > 0 && require_widths(bottom, continuous) != interaction.dim)
    throw std::invalid_argument("scoring: the bottom layers do not end in the embedding length");
  if (require_widths({last}, require_widths(top, top_input())) != 1)
    throw std::invalid_argument("scoring: wanted one logit");
}

int64_t NetworkShape::top_input() const {
  return interaction.features > 0 ? interaction.width() : interaction.dim;
}

int64_t NetworkShape::widest() const {
  int64_t widest = std::max(continuous, top_input());
  for (const auto *layers : {&bottom, &top})
    for (const auto &layer : *layers) widest = std::max(widest, layer.outputs);
  return widest;
}

int64_t NetworkShape::multiply_adds() const {
  int64_t count = interaction.pairs() * interaction.dim + last.inputs;
  for (const auto *layers : {&bottom, &top})
    for (const auto &layer : *layers) count += layer.inputs * layer.outputs;
  return count;
}

}  // namespace plumbline
