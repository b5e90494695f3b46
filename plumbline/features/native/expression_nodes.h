// Nodes of named expressions: parts of times, seconds, arithmetic, comparisons, ids of a range. Each does
// what its step in plumbline/features/operators does.
#pragma once

#include <string>
#include <vector>

#include "calendar.h"
#include "nodes.h"

namespace plumbline {

class DatePartOf : public Node {
 public:
  DatePartOf(size_t source, const DatePart &part) : Node(Type::kIntegers, {source}), part_(part) {}
  void run(Tile &tile, size_t self) const override;

 private:
  DatePart part_;
};

// From the first source to the last; of a single one, from `since`.
class Seconds : public Node {
 public:
  Seconds(std::vector<size_t> sources, int64_t since)
      : Node(Type::kNumbers, std::move(sources)), since_(since) {}
  void run(Tile &tile, size_t self) const override;

 private:
  int64_t since_;
};

enum class Arithmetic { kAdd, kSubtract, kMultiply, kDivide };

// Of both sources, or of the only one and `constant`.
class ArithmeticOf : public Node {
 public:
  ArithmeticOf(std::vector<size_t> sources, Arithmetic operation, double constant, double by_zero)
      : Node(Type::kNumbers, std::move(sources)), operation_(operation), constant_(constant),
        by_zero_(by_zero) {}
  void run(Tile &tile, size_t self) const override;

 private:
  Arithmetic operation_;
  double constant_, by_zero_;
};

enum class Relation { kEqual, kNotEqual, kLess, kLessOrEqual, kGreater, kGreaterOrEqual };

// With `number`, or of integers exactly with `integer`.
class Compare : public Node {
 public:
  Compare(size_t source, Relation relation, double number, int64_t integer, bool is_exact)
      : Node(Type::kNumbers, {source}), relation_(relation), number_(number), integer_(integer),
        is_exact_(is_exact) {}
  void run(Tile &tile, size_t self) const override;

 private:
  Relation relation_;
  double number_;
  int64_t integer_;
  bool is_exact_;
};

class RangeIds : public Node {
 public:
  RangeIds(size_t source, int64_t first, int64_t last)
      : Node(Type::kIntegers, {source}), first_(first), last_(last) {}
  void run(Tile &tile, size_t self) const override;

 private:
  int64_t first_, last_;
};

// Throw std::invalid_argument for an unknown name.
Arithmetic arithmetic_named(const std::string &name);
Relation relation_named(const std::string &name);

}  // namespace plumbline
