// The weights of linear layers in the order that the loops of scoring read them.
//
// Outputs are grouped into panels of kPanel, and panels into groups of kPanelsInGroup (the last one
// may be smaller). A group holds, for each depth, one lane of each of its outputs. In float32 lane
// k of an output is weight[output][k]; in bfloat16 it is the pair weight[output][2k],
// weight[output][2k+1]. Missing weights are zeros, and so are depths up to a multiple of kTileDepth:
// sixteen depths of a panel are a tile.
#pragma once

#include <vector>

#include "scoring_loops.h"
#include "scoring_memory.h"
#include "scoring_shape.h"

namespace plumbline {

// weight (outputs, inputs) and bias (outputs), float32, contiguous.
struct LayerWeights : LayerShape {
  const float *weight, *bias;
};

class PackedLayers {
 public:
  // For activations of `dtype`; weights and biases are rounded to it first.
  PackedLayers(const std::vector<LayerWeights> &layers, Dtype dtype, Rounding *round);

  const PackedLayer &operator[](size_t layer) const { return layers_[layer]; }

 private:
  Memory memory_;
  std::vector<PackedLayer> layers_;
};

}  // namespace plumbline
