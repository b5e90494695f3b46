#include "scoring_int8_packing.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>

#include "scoring_blocks.h"

namespace plumbline {
namespace {

int64_t panels_of(const LayerShape &layer) { return parts_of(layer.outputs, kPanel); }

int64_t stored_of(const LayerShape &layer) {
  return round_up(parts_of(layer.inputs, kQuad), kTileDepth);
}

// A lane, a scale and a bias are four bytes each.
int64_t bytes_of(const LayerShape &layer) {
  return panels_of(layer) * kPanel * (stored_of(layer) + 2) * 4;
}

int64_t bytes_of(const std::vector<Int8LayerWeights> &layers) {
  int64_t bytes = 0;
  for (const auto &layer : layers) bytes += bytes_of(layer);
  return bytes;
}

void pack(const Int8LayerWeights &layer, std::byte *weight) {
  const int64_t panels = panels_of(layer), stored = stored_of(layer);
  std::memset(weight, 0, static_cast<size_t>(panels * kPanel * stored * kQuad));
  for (int64_t output = 0; output < layer.outputs; ++output) {
    const int64_t group = output / (kPanel * kPanelsInGroup) * kPanelsInGroup;
    const int64_t step = std::min(panels - group, kPanelsInGroup) * kPanel * kQuad;
    std::byte *to = weight + (group * kPanel * stored + (output - group * kPanel)) * kQuad;
    const int8_t *from = layer.weight + output * layer.inputs;
    for (int64_t input = 0; input < layer.inputs; input += kQuad, to += step)
      std::memcpy(to, from + input, static_cast<size_t>(std::min(layer.inputs - input, kQuad)));
  }
}

}  // namespace

PackedInt8Layers::PackedInt8Layers(const std::vector<Int8LayerWeights> &layers,
                                   bool first_is_signed)
    : memory_(bytes_of(layers)) {
  std::byte *at = memory_.data();
  for (const auto &layer : layers) {
    if (layer.inputs > kMostInt8Inputs)
      throw std::invalid_argument("scoring: an int8 layer wants at most " +
                                  std::to_string(kMostInt8Inputs) + " inputs, got " +
                                  std::to_string(layer.inputs));
    const int64_t panels = panels_of(layer), stored = stored_of(layer);
    auto *scale = reinterpret_cast<float *>(at + panels * kPanel * stored * kQuad);
    float *bias = scale + panels * kPanel;
    pack(layer, at);
    std::fill_n(scale, 2 * panels * kPanel, 0.0f);
    std::copy_n(layer.scale, layer.outputs, scale);
    std::copy_n(layer.bias, layer.outputs, bias);
    layers_.push_back({{at, bias, parts_of(layer.inputs, kQuad), stored, panels},
                       scale,
                       first_is_signed && layers_.empty()});
    at += bytes_of(layer);
  }
}

}  // namespace plumbline
