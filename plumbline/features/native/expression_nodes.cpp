#include "expression_nodes.h"

#include <array>
#include <limits>
#include <stdexcept>

namespace plumbline {
namespace {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();
constexpr int64_t kNullId = 1, kUnseenId = 2, kFirstId = 3;

const Column<const int64_t> &integers_of(const Tile &tile, size_t node) {
  return std::get<Column<const int64_t>>(tile.values(node));
}

// Two's complement: the difference of times wraps around, as in NumPy.
int64_t difference(int64_t from, int64_t to) {
  return static_cast<int64_t>(static_cast<uint64_t>(to) - static_cast<uint64_t>(from));
}

double computed(Arithmetic operation, double left, double right, double by_zero) {
  switch (operation) {
    case Arithmetic::kAdd:
      return left + right;
    case Arithmetic::kSubtract:
      return left - right;
    case Arithmetic::kMultiply:
      return left * right;
    case Arithmetic::kDivide:
      break;
  }
  return right == 0.0 && left == left ? by_zero : left / right;
}

template <class T>
bool holds(Relation relation, T value, T constant) {
  switch (relation) {
    case Relation::kEqual:
      return value == constant;
    case Relation::kNotEqual:
      return value != constant;
    case Relation::kLess:
      return value < constant;
    case Relation::kLessOrEqual:
      return value <= constant;
    case Relation::kGreater:
      return value > constant;
    case Relation::kGreaterOrEqual:
      break;
  }
  return value >= constant;
}

}  // namespace

void DatePartOf::run(Tile &tile, size_t self) const {
  const auto &times = integers_of(tile, sources[0]);
  int64_t *const parts = tile.integers(self);
  for (size_t i = 0; i < tile.size; ++i)
    parts[i] = times[i] == kNullInt64 ? kNullInt64 : part_.of(times[i]);
}

void Seconds::run(Tile &tile, size_t self) const {
  const auto &starts = integers_of(tile, sources.front()), &ends = integers_of(tile, sources.back());
  const bool has_start = sources.size() > 1;
  double *const seconds = tile.numbers(self);
  for (size_t i = 0; i < tile.size; ++i) {
    const bool is_missing = starts[i] == kNullInt64 || ends[i] == kNullInt64;
    const int64_t start = has_start ? starts[i] : since_;
    seconds[i] = is_missing ? kMissing : static_cast<double>(difference(start, ends[i])) / 1e6;
  }
}

void ArithmeticOf::run(Tile &tile, size_t self) const {
  double *const result = tile.numbers(self);
  read_numbers(tile.values(sources[0]), tile.size, result);
  std::array<double, kTile> right;
  right.fill(constant_);
  if (sources.size() > 1) read_numbers(tile.values(sources[1]), tile.size, right.data());
  for (size_t i = 0; i < tile.size; ++i)
    result[i] = computed(operation_, result[i], right[i], by_zero_);
}

void Compare::run(Tile &tile, size_t self) const {
  double *const flags = tile.numbers(self);
  if (is_exact_) {
    const auto &integers = integers_of(tile, sources[0]);
    for (size_t i = 0; i < tile.size; ++i)
      flags[i] = integers[i] == kNullInt64 ? kMissing : holds(relation_, integers[i], integer_);
    return;
  }
  read_numbers(tile.values(sources[0]), tile.size, flags);
  for (size_t i = 0; i < tile.size; ++i)
    if (flags[i] == flags[i]) flags[i] = holds(relation_, flags[i], number_);
}

void RangeIds::run(Tile &tile, size_t self) const {
  const auto &values = integers_of(tile, sources[0]);
  int64_t *const ids = tile.integers(self);
  for (size_t i = 0; i < tile.size; ++i) {
    const bool is_inside = values[i] >= first_ && values[i] <= last_;
    const int64_t outside = values[i] == kNullInt64 ? kNullId : kUnseenId;
    ids[i] = is_inside ? kFirstId + (values[i] - first_) : outside;
  }
}

Arithmetic arithmetic_named(const std::string &name) {
  if (name == "add") return Arithmetic::kAdd;
  if (name == "subtract") return Arithmetic::kSubtract;
  if (name == "multiply") return Arithmetic::kMultiply;
  if (name == "divide") return Arithmetic::kDivide;
  throw std::invalid_argument("No arithmetic is called '" + name + "'");
}

Relation relation_named(const std::string &name) {
  if (name == "==") return Relation::kEqual;
  if (name == "!=") return Relation::kNotEqual;
  if (name == "<") return Relation::kLess;
  if (name == "<=") return Relation::kLessOrEqual;
  if (name == ">") return Relation::kGreater;
  if (name == ">=") return Relation::kGreaterOrEqual;
  throw std::invalid_argument("No relation is called '" + name + "'");
}

}  // namespace plumbline
