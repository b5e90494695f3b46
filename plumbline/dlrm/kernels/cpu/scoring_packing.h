// The weights of linear layers in the order that the loops of scoring read them.
//
// Outputs come in panels of kPanel, and panels in groups of kPanelsInGroup (the last one may be
// smaller). A group is, for each depth, a lane of each of its outputs: with float32 lane k of an
// output is weight[output][k], with bfloat16 it is the pair weight[output][2k], weight[output][2k+1].
// Zeros stand where there is no such weight.
#pragma once

#include <vector>

#include "scoring_loops.h"
#include "scoring_memory.h"

namespace plumbline {

// weight (outputs, inputs) and bias (outputs), float32, contiguous.
struct LayerWeights {
  const float *weight, *bias;
  int64_t inputs, outputs;
};

class PackedLayers {
 public:
  // For activations of that dtype; weights and biases are rounded to it first.
  PackedLayers(const std::vector<LayerWeights> &layers, Dtype dtype, Rounding *round);

  const PackedLayer &operator[](size_t layer) const { return layers_[layer]; }

 private:
  Memory memory_;
  std::vector<PackedLayer> layers_;
};

}  // namespace plumbline
