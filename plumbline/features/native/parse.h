// Whole lines of text to typed columns, for lines of the plain form that logs have.
//
// Anything that is not plainly right is not judged here: parse_lines() gives up, and the general path
// (plumbline/rawlogs/raw_rows.py and plumbline/rawlogs/values.py), whose results are the meaning, takes the block. Given
// up on: a line with another number of fields, a blank line, a carriage return, a NUL, bytes
// that are no UTF-8, numbers other than `-?digits[.digits]` of at most 15 digits, hexadecimal ones of
// more than 15, booleans other than 1, 0 and their words, labels other than `0`, `1`, true and false;
// of clicks that are words a field that is missing, or that has blanks at its ends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace plumbline {

enum class Field { kSkip, kContinuous, kInteger, kHex, kBoolean, kText, kLabel, kClicks };

// A few words that a field may be, letter for letter.
class Words {
 public:
  explicit Words(std::vector<std::string> words);
  bool empty() const { return words_.empty(); }
  bool has(const uint8_t *begin, const uint8_t *end) const;

 private:
  std::vector<std::string> words_;
  uint64_t lengths_ = 0;  // bit i: a word has i bytes; the last one: or more
};

// One field's column; which of the arrays is there depends on the field. A missing value is NaN, -2^63
// or an empty string, as in plumbline/columns/values.py.
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
  bool is_ascii;  // whether bytes above 127 must not come; otherwise they have to be UTF-8
  Words missing;  // none of them is a number, or has blanks at its ends
  Words clicks;   // of a label that is words: those that are clicks; none of them is a number
};

size_t count_lines(const uint8_t *text, size_t size);

// Fills `columns`, one a field, whose `field` is set; false where it gives up.
bool parse_lines(const Lines &lines, size_t rows, std::vector<FieldColumn> &columns);

}  // namespace plumbline
