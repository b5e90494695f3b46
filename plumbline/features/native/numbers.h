// Operations on float64 numbers; NaN is the missing value.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace plumbline {

struct Operation {
  enum class Code {
    kFillMissing, kClip, kLog, kNormalize, kNormalizeMinMax, kIsMissing, kInterpolate
  };
  Code code;
  // Two operands; for interpolation, the points and then as many heights.
  std::vector<double> numbers;

  // Throws std::invalid_argument for an unknown name or a wrong number of operands.
  static Operation named(const std::string &name, std::vector<double> numbers);

  // Changes `size` numbers in place.
  void apply(double *values, size_t size) const;
};

// The number of ascending numbers at or below the value; all of them for NaN.
size_t at_or_below(const double *numbers, size_t size, double value);

}  // namespace plumbline
