// The int8 weights of linear layers in the order that the loops of scoring read them.
//
// As in scoring_packing.h; a lane has the weights of kQuad inputs.
#pragma once

#include <vector>

#include "scoring_int8_loops.h"
#include "scoring_memory.h"
#include "scoring_shape.h"

namespace plumbline {

// weight (outputs, inputs), scale and bias (outputs), contiguous.
struct Int8LayerWeights : LayerShape {
  const int8_t *weight;
  const float *scale, *bias;
};

class PackedInt8Layers {
 public:
  // `first_is_signed`: whether the inputs of the first layer may be negative; those of the others
  // are outputs of ReLU. Throws std::invalid_argument for a layer of more than kMostInt8Inputs.
  PackedInt8Layers(const std::vector<Int8LayerWeights> &layers, bool first_is_signed);

  const Int8Layer &operator[](size_t layer) const { return layers_[layer]; }

 private:
  Memory memory_;
  std::vector<Int8Layer> layers_;
};

}  // namespace plumbline
