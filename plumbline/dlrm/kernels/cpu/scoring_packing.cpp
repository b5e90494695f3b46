#include "scoring_packing.h"

#include <algorithm>
#include <cstring>

#include "scoring_blocks.h"

namespace plumbline {
namespace {

int64_t panels_of(const LayerWeights &layer) { return parts_of(layer.outputs, kPanel); }

int64_t lane_numbers(Dtype dtype) { return dtype == Dtype::float32 ? 1 : 2; }

int64_t depth_of(const LayerWeights &layer, Dtype dtype) {
  return parts_of(layer.inputs, lane_numbers(dtype));
}

int64_t stored_of(const LayerWeights &layer, Dtype dtype) {
  return round_up(depth_of(layer, dtype), kTileDepth);
}

// A lane and a bias are four bytes each.
int64_t bytes_of(const LayerWeights &layer, Dtype dtype) {
  return panels_of(layer) * kPanel * (stored_of(layer, dtype) + 1) * 4;
}

int64_t bytes_of(const std::vector<LayerWeights> &layers, Dtype dtype) {
  int64_t bytes = 0;
  for (const auto &layer : layers) bytes += bytes_of(layer, dtype);
  return bytes;
}

// Packs one row of weights as the lanes of one output.
std::vector<uint32_t> lanes_of(const float *weight, int64_t inputs, Dtype dtype,
                               Rounding *round) {
  const int64_t numbers = lane_numbers(dtype);
  std::vector<uint32_t> lanes(static_cast<size_t>((inputs + numbers - 1) / numbers));
  round(weight, lanes.data(), inputs);
  return lanes;
}

float rounded(float value, Dtype dtype, Rounding *round) {
  if (dtype == Dtype::float32) return value;
  uint16_t half;
  round(&value, &half, 1);
  const uint32_t bits = uint32_t{half} << 16;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

void pack(const LayerWeights &layer, Dtype dtype, Rounding *round, uint32_t *weight,
          float *bias) {
  const int64_t panels = panels_of(layer), stored = stored_of(layer, dtype);
  std::memset(weight, 0, static_cast<size_t>(panels * kPanel * stored) * 4);
  std::fill_n(bias, panels * kPanel, 0.0f);
  for (int64_t output = 0; output < layer.outputs; ++output) {
    const int64_t group = output / (kPanel * kPanelsInGroup) * kPanelsInGroup;
    const int64_t step = std::min(panels - group, kPanelsInGroup) * kPanel;
    uint32_t *to = weight + group * kPanel * stored + (output - group * kPanel);
    const auto lanes = lanes_of(layer.weight + output * layer.inputs, layer.inputs, dtype, round);
    for (const uint32_t lane : lanes) {
      *to = lane;
      to += step;
    }
    bias[output] = rounded(layer.bias[output], dtype, round);
  }
}

}  // namespace

PackedLayers::PackedLayers(const std::vector<LayerWeights> &layers, Dtype dtype,
                           Rounding *round)
    : memory_(bytes_of(layers, dtype)) {
  std::byte *at = memory_.data();
  for (const auto &layer : layers) {
    auto *weight = reinterpret_cast<uint32_t *>(at);
    const int64_t panels = panels_of(layer), stored = stored_of(layer, dtype);
    auto *bias = reinterpret_cast<float *>(weight + panels * kPanel * stored);
    pack(layer, dtype, round, weight, bias);
    layers_.push_back({weight, bias, depth_of(layer, dtype), stored, panels});
    at += bytes_of(layer, dtype);
  }
}

}  // namespace plumbline
