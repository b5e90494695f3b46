// The fast parser: lines of plain text to typed columns.
//
// It handles the plain cases only. On anything else parse_lines() gives up, and the general parser
// (plumbline/rawlogs/raw_rows.py and plumbline/rawlogs/convert.py), which defines the results, parses the
// block. Not plain are: another number of fields, a blank line, a carriage return, a NUL,
// invalid UTF-8, numbers other than `-?digits[.digits]` with at most 15 digits, hexadecimal numbers with
// more than 15, booleans other than 1, 0 and their words, and labels other than 0, 1, true and false. If
// the label is one of several words, a missing one or one that begins or ends with a blank.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace plumbline {

enum class Field { kSkip, kContinuous, kInteger, kHex, kBoolean, kText, kLabel, kClicks };

// A small set of words, compared byte by byte.
class Words {
 public:
  explicit Words(std::vector<std::string> words);
  bool empty() const { return words_.empty(); }
  bool has(const uint8_t *begin, const uint8_t *end) const;

 private:
  std::vector<std::string> words_;
  uint64_t lengths_ = 0;  // bit i: a word has i bytes; the last bit: or more
};

// The column of a field; the kind of field decides which arrays it uses. A missing value is NaN, -2^63
// or an empty string, as in plumbline/columns/values.py.
struct FieldColumn {
  Field field;
  std::unique_ptr<float[]> numbers;
  std::unique_ptr<int64_t[]> integers;  // for text: the offsets, one more than rows
  std::unique_ptr<int8_t[]> labels;
  std::unique_ptr<uint8_t[]> data;
  size_t data_size = 0, data_capacity = 0;
};

struct Lines {
  const uint8_t *text;
  size_t size;  // the last byte is a newline
  uint8_t separator;
  bool is_ascii;  // bytes above 127 are refused; otherwise they must be UTF-8
  Words missing;  // none is a number, or begins or ends with a blank
  Words clicks;   // for a label of words: those that are clicks; none is a number
};

size_t count_lines(const uint8_t *text, size_t size);

// Fills `columns`, one per field, whose `field` is set. Returns false if it gives up.
bool parse_lines(const Lines &lines, size_t rows, std::vector<FieldColumn> &columns);

}  // namespace plumbline
