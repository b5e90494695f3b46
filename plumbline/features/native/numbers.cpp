#include "numbers.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "clones.h"
#include "logarithm.h"

namespace plumbline {
namespace {

using Code = Operation::Code;

PLUMBLINE_CLONES("avx512f")
void apply_simple(Code code, double a, double b, double *values, size_t size) {
  switch (code) {
    case Code::kFillMissing:
      for (size_t i = 0; i < size; ++i) values[i] = values[i] != values[i] ? a : values[i];
      break;
    case Code::kClip:
      for (size_t i = 0; i < size; ++i) values[i] = values[i] < a ? a : values[i];
      for (size_t i = 0; i < size; ++i) values[i] = values[i] > b ? b : values[i];
      break;
    case Code::kLog:
      for (size_t i = 0; i < size; ++i) values[i] = logarithm(1.0 + values[i]);
      break;
    case Code::kNormalize:
      if (!(b > 0)) {
        for (size_t i = 0; i < size; ++i) values[i] = values[i] - a;
      } else {
        for (size_t i = 0; i < size; ++i) values[i] = (values[i] - a) / b;
      }
      break;
    case Code::kNormalizeMinMax:
      if (b > a) {
        const double range = b - a;
        for (size_t i = 0; i < size; ++i) values[i] = (values[i] - a) / range;
      } else {
        for (size_t i = 0; i < size; ++i) values[i] = values[i] != values[i] ? values[i] : 0.5;
      }
      break;
    case Code::kIsMissing:
      for (size_t i = 0; i < size; ++i) values[i] = values[i] != values[i] ? 1 : 0;
      break;
    case Code::kInterpolate:
      break;  // see interpolate()
  }
}

// Constant before the first point and after the last; see
// plumbline/features/operators/quantile_transform.py.
void interpolate(const std::vector<double> &numbers, double *values, size_t size) {
  const size_t points = numbers.size() / 2;
  const double *const x = numbers.data(), *const y = x + points;
  for (size_t i = 0; i < size; ++i) {
    if (values[i] != values[i]) continue;
    if (points == 1) {
      values[i] = y[0];
      continue;
    }
    const double clamped = std::min(std::max(values[i], x[0]), x[points - 1]);
    // The line that the number is on; the last point belongs to the line that ends in it.
    const size_t line = at_or_below(x + 1, points - 2, clamped);
    const double share = (clamped - x[line]) / (x[line + 1] - x[line]);
    values[i] = y[line] + share * (y[line + 1] - y[line]);
  }
}

}  // namespace

// No branch depends on the value, since every second one would be mispredicted.
size_t at_or_below(const double *numbers, size_t size, double value) {
  size_t count = 0;
  while (size > 0) {
    const size_t half = (size + 1) / 2;
    count += value < numbers[count + half - 1] ? 0 : half;
    size -= half;
  }
  return count;
}

Operation Operation::named(const std::string &name, std::vector<double> numbers) {
  static constexpr std::pair<const char *, Code> known[] = {
      {"fill_missing", Code::kFillMissing}, {"clip", Code::kClip},
      {"log", Code::kLog},                  {"normalize", Code::kNormalize},
      {"normalize_min_max", Code::kNormalizeMinMax}, {"is_missing", Code::kIsMissing},
      {"interpolate", Code::kInterpolate}};
  for (const auto &[known_name, code] : known) {
    if (name != known_name) continue;
    const bool fits = code == Code::kInterpolate ? numbers.size() >= 2 && numbers.size() % 2 == 0
                                                 : numbers.size() == 2;
    if (!fits)
      throw std::invalid_argument("'" + name + "' cannot take " + std::to_string(numbers.size()) +
                                  " numbers");
    return {code, std::move(numbers)};
  }
  throw std::invalid_argument("No operation is called '" + name + "'");
}

void Operation::apply(double *values, size_t size) const {
  if (code == Code::kInterpolate) {
    interpolate(numbers, values, size);
  } else {
    apply_simple(code, numbers[0], numbers[1], values, size);
  }
}

}  // namespace plumbline
