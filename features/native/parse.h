// Whole lines of text to typed columns, for lines of the plain form that logs have.
//
// Anything that is not plainly right is not judged here: parse_lines() gives up, and the general path
// (rawlogs/raw_rows.py and rawlogs/values.py), whose results are the meaning, takes the block. Given
// up on: a line with another number of fields, a blank line, a carriage return, a NUL, a quote, bytes
// that are no UTF-8, numbers other than `-?digits[.digits]` of at most 15 digits, hexadecimal ones of
// more than 15, labels other than `0` and `1`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace plumbline {

enum class Field { kSkip, kContinuous, kInteger, kHex, kText, kLabel };

// One field's column; which of the arrays is there depends on the field. A missing value is NaN, -2^63
// or an empty string, as in features/values.py.
struct FieldColumn {
  Field field;
  std::unique_ptr<float[]> numbers;
  std::unique_ptr<int64_t[]> integers;  // of text: the offsets, one more than rows
  std::unique_ptr<int8_t[]> labels;
  std::unique_ptr<uint8_t[]> data;
  size_t data_size = 0, data_capacity = 0;
};

struct Lines {
  const uint8_t *text;
  size_t size;  // the last byte is a newline
  uint8_t separator;
  int quote;  // the byte that must not come, or -1
  bool is_ascii;  // whether bytes above 127 must not come; otherwise they have to be UTF-8
};

size_t count_lines(const uint8_t *text, size_t size);

// Fills `columns`, one a field, whose `field` is set; false where it gives up.
bool parse_lines(const Lines &lines, size_t rows, std::vector<FieldColumn> &columns);

}  // namespace plumbline
