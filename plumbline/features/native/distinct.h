// The distinct values of a column, in the order in which they occur. Missing values are values here.
#pragma once

#include <memory>

#include "arrays.h"

namespace plumbline {

struct Distinct {
  std::unique_ptr<int64_t[]> rows;   // the first row of each distinct value
  std::unique_ptr<int64_t[]> index;  // of each row, the index of its value among them
  size_t size = 0;                   // the number of distinct values
};

Distinct distinct_integers(Column<const int64_t> values);
Distinct distinct_texts(const Strings &strings);

}  // namespace plumbline
