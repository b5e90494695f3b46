// The widths of a scored model's parts.
#pragma once

#include <cstdint>
#include <vector>

#include "interaction.h"

namespace plumbline {

struct LayerShape {
  int64_t inputs, outputs;
};

struct NetworkShape {
  interaction::Shape interaction;
  int64_t continuous;
  std::vector<LayerShape> bottom, top;
  LayerShape last;

  // Throws std::invalid_argument if the layers do not fit together.
  void check() const;
  int64_t top_input() const;
  // The largest number of inputs or outputs of a layer but the last, and of the top layers' input.
  int64_t widest() const;
  int64_t multiply_adds() const;  // of one row
};

}  // namespace plumbline
