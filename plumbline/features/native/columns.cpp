#include "columns.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "clones.h"

namespace plumbline {
namespace {

constexpr uint64_t kMissingHash = UINT64_MAX;
constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

PLUMBLINE_CLONES("avx512f")
void widen(const float *from, double *to, size_t size) {
  for (size_t i = 0; i < size; ++i) to[i] = from[i];
}

void read(const Column<const float> &values, size_t size, double *to) {
  if (values.contiguous()) {
    widen(values.data(), to, size);
  } else {
    for (size_t i = 0; i < size; ++i) to[i] = values[i];
  }
}

void read(const Column<const double> &values, size_t size, double *to) {
  for (size_t i = 0; i < size; ++i) to[i] = values[i];
}

void read(const Column<const int64_t> &values, size_t size, double *to) {
  for (size_t i = 0; i < size; ++i) {
    const int64_t value = values[i];
    to[i] = value == kNullInt64 ? kMissing : static_cast<double>(value);
  }
}

void read(const Strings &values, size_t size, double *to) {
  for (size_t i = 0; i < size; ++i) to[i] = values.length(i) == 0 ? kMissing : 0.0;
}

// One NaN, and -0.0 as 0.0.
uint64_t hash(double value) {
  return pandas_mix(std::bit_cast<uint64_t>(std::isnan(value) ? kMissing : value + 0.0));
}
uint64_t hash(const Column<const float> &values, size_t row) { return hash(double{values[row]}); }
uint64_t hash(const Column<const double> &values, size_t row) { return hash(values[row]); }
uint64_t hash(const Column<const int64_t> &values, size_t row) {
  return is_missing(values, row) ? kMissingHash : pandas_mix(static_cast<uint64_t>(values[row]));
}
uint64_t hash(const Strings &values, size_t row) {
  return is_missing(values, row) ? kMissingHash : pandas_text_hash(values.at(row), values.length(row));
}

// Integers are packed as 8 bytes, text as 4 bytes of length and its bytes.
void add_widths(const Column<const int64_t> &, size_t size, int64_t *widths) {
  for (size_t i = 0; i < size; ++i) widths[i] += sizeof(int64_t);
}
void add_widths(const Strings &values, size_t size, int64_t *widths) {
  for (size_t i = 0; i < size; ++i)
    widths[i] += static_cast<int64_t>(sizeof(uint32_t) + values.length(i));
}

// Each row's bytes go to data + at[row], which moves behind them.
void put(const Column<const int64_t> &values, size_t size, uint8_t *data, int64_t *at) {
  for (size_t i = 0; i < size; ++i) {
    const int64_t value = values[i];
    std::memcpy(data + at[i], &value, sizeof value);
    at[i] += sizeof value;
  }
}
void put(const Strings &values, size_t size, uint8_t *data, int64_t *at) {
  for (size_t i = 0; i < size; ++i) {
    const auto length = static_cast<uint32_t>(values.length(i));
    std::memcpy(data + at[i], &length, sizeof length);
    std::memcpy(data + at[i] + sizeof length, values.at(i), length);
    at[i] += static_cast<int64_t>(sizeof length + length);
  }
}

// Calls `work` with integers or text.
template <class Work>
void with_key_part(const Values &part, Work work) {
  if (const auto *integers = std::get_if<Column<const int64_t>>(&part)) {
    work(*integers);
  } else if (const auto *texts = std::get_if<Strings>(&part)) {
    work(*texts);
  }
}

}  // namespace

bool is_missing(const Values &values, size_t row) {
  return std::visit([&](const auto &column) { return is_missing(column, row); }, values);
}

void read_numbers(const Values &values, size_t size, double *to) {
  std::visit([&](const auto &column) { read(column, size, to); }, values);
}

uint64_t value_hash(const Values &values, size_t row) {
  return std::visit([&](const auto &column) { return hash(column, row); }, values);
}

void combined_hashes(const std::vector<const Values *> &parts, size_t size, uint64_t *hashes) {
  std::fill_n(hashes, size, 0);
  for (const Values *part : parts)
    std::visit([&](const auto &column) {
      for (size_t i = 0; i < size; ++i) hashes[i] ^= hash(column, i);
    }, *part);
}

int64_t key_offsets(const std::vector<const Values *> &parts, size_t size, int64_t *offsets) {
  std::fill_n(offsets, size + 1, 0);
  for (const Values *part : parts)
    with_key_part(*part, [&](const auto &column) { add_widths(column, size, offsets + 1); });
  for (size_t i = 0; i < size; ++i) offsets[i + 1] += offsets[i];
  return offsets[size];
}

void pack_keys(const std::vector<const Values *> &parts, size_t size, int64_t *offsets, uint8_t *data) {
  // Each row's offset moves behind the parts that were written, until it is the next row's.
  for (const Values *part : parts)
    with_key_part(*part, [&](const auto &column) { put(column, size, data, offsets); });
  for (size_t i = size; i > 0; --i) offsets[i] = offsets[i - 1];
  offsets[0] = 0;
}

}  // namespace plumbline
