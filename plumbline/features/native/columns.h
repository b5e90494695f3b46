// Columns of values in memory, and what several of them are together: their hash, and their key.
#pragma once

#include <cstddef>
#include <cstdint>
#include <variant>
#include <vector>

#include "arrays.h"
#include "hashes.h"

namespace plumbline {

// Numbers are missing if NaN, integers if kNullInt64, text if empty.
using Values =
    std::variant<Column<const float>, Column<const double>, Column<const int64_t>, Strings>;

enum class Type { kNumbers, kIntegers, kTexts };

template <class Number>
bool is_missing(const Column<const Number> &values, size_t row) {
  return values[row] != values[row];
}
inline bool is_missing(const Column<const int64_t> &values, size_t row) {
  return values[row] == kNullInt64;
}
inline bool is_missing(const Strings &values, size_t row) { return values.length(row) == 0; }
bool is_missing(const Values &values, size_t row);

// `size` values as float64, from `values[0]` on. Text is 0, or missing if empty.
void read_numbers(const Values &values, size_t size, double *to);

// The hash of a value in `plumbline.columns.value_hash`.
uint64_t value_hash(const Values &values, size_t row);

// The hashes of `size` rows, each the exclusive or of its parts' hashes.
void combined_hashes(const std::vector<const Values *> &parts, size_t size, uint64_t *hashes);

// The keys of `size` rows, as `plumbline.columns.keys` packs them; parts are integers or text.
// key_offsets() writes the size + 1 offsets of the keys, and returns their bytes; pack_keys() then
// writes the bytes.
int64_t key_offsets(const std::vector<const Values *> &parts, size_t size, int64_t *offsets);
void pack_keys(const std::vector<const Values *> &parts, size_t size, int64_t *offsets, uint8_t *data);

}  // namespace plumbline
