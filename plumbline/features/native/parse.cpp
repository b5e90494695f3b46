#include "parse.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <string_view>
#include <utility>

#include "hashes.h"
#include "scan.h"

namespace plumbline {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr size_t kTileBytes = 32 << 10;  // text that is scanned, then parsed, at once
constexpr size_t kLongLength = 63;       // longer words share one bit of Words::lengths_
constexpr int kMaxDigits = 15;          // below 2^53: exact in float64
constexpr float kMissing = std::numeric_limits<float>::quiet_NaN();
constexpr uint64_t kOnes = 0x0101010101010101u, kHigh = 0x80 * kOnes;

// 10^i, exact in float64.
constexpr std::array<double, kMaxDigits + 1> kPowers = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                         1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

// Masks that keep the last `length` bytes of a word and set the others to '0'.
struct Tail {
  uint64_t kept, zeros;
};
constexpr auto kTails = [] {
  std::array<Tail, 9> tails{};
  for (int length = 0; length <= 8; ++length) {
    const uint64_t kept = length == 0 ? 0 : ~uint64_t{0} << (8 * (8 - length));
    tails[static_cast<size_t>(length)] = {kept, ~kept & (0x30 * kOnes)};
  }
  return tails;
}();

// The `length` bytes before `end` (at most 8), padded in front with the digit '0'. Always reads eight
// bytes.
uint64_t tail(const uint8_t *end, size_t length) {
  uint64_t word;
  std::memcpy(&word, end - 8, 8);
  return (word & kTails[length].kept) | kTails[length].zeros;
}

bool are_digits(uint64_t word) {
  const uint64_t upper = 0xF0 * kOnes;
  return ((word & upper) | ((word + 6 * kOnes) & upper) >> 4) == 0x33 * kOnes;
}

// The value of eight digits, the first one in the lowest byte.
uint64_t decimal(uint64_t word) {
  word = (word & 0x0F * kOnes) * (1 + (10 << 8)) >> 8;
  word = (word & 0x00FF00FF00FF00FFu) * (1 + (100 << 16)) >> 16;
  return (word & 0x0000FFFF0000FFFFu) * (1 + (uint64_t{10000} << 32)) >> 32;
}

bool are_hex_digits(uint64_t word) {
  const uint64_t lower = word | 0x20 * kOnes;
  const uint64_t digit = (word + (0x80 - '0') * kOnes) & ~(word + (0x80 - '9' - 1) * kOnes);
  const uint64_t letter = (lower + (0x80 - 'a') * kOnes) & ~(lower + (0x80 - 'f' - 1) * kOnes);
  return (word & kHigh) == 0 && ((digit | letter) & kHigh) == kHigh;
}

uint64_t hexadecimal(uint64_t word) {
  word = __builtin_bswap64((word & 0x0F * kOnes) + 9 * (word >> 6 & kOnes));
  word = (word | word >> 4) & 0x00FF00FF00FF00FFu;
  word = (word | word >> 8) & 0x0000FFFF0000FFFFu;
  return (word | word >> 16) & 0xFFFFFFFFu;
}

// Reads a number byte by byte. Returns whether it is plain.
bool read_number(const uint8_t *at, const uint8_t *end, bool takes_fraction, double *value) {
  const bool is_negative = at < end && *at == '-';
  at += is_negative;
  uint64_t digits = 0;
  int count = 0, fraction = -1;
  for (; at < end; ++at) {
    const uint8_t digit = static_cast<uint8_t>(*at - '0');
    if (digit <= 9) {
      digits = digits * 10 + digit;
      if (++count > kMaxDigits) return false;
      fraction += fraction >= 0;
    } else if (*at == '.' && takes_fraction && fraction < 0 && count > 0) {
      fraction = 0;
    } else {
      return false;
    }
  }
  if (count == 0 || fraction == 0) return false;
  // Both are exact, so the quotient is correctly rounded.
  const double magnitude =
      static_cast<double>(digits) / kPowers[static_cast<size_t>(std::max(fraction, 0))];
  *value = is_negative ? -magnitude : magnitude;
  return true;
}

bool read_hex(const uint8_t *at, const uint8_t *end, uint64_t *value) {
  if (end - at > kMaxDigits) return false;
  for (; at < end; ++at) {
    const uint8_t lower = *at | 0x20, digit = static_cast<uint8_t>(*at - '0');
    const uint8_t letter = static_cast<uint8_t>(lower - 'a');
    if (digit > 9 && letter > 5) return false;
    *value = *value << 4 | (digit <= 9 ? digit : 10u + letter);
  }
  return true;
}

// The fields of some lines. `ends` holds the end of each, line by line; ends[-1] is that of the line
// before.
struct Tile {
  const uint8_t *text;
  const uint32_t *ends;
  size_t fields, rows;

  const uint8_t *begin(size_t row, size_t field) const {
    return text + static_cast<size_t>(ends[static_cast<ptrdiff_t>(row * fields + field) - 1] + 1);
  }
  const uint8_t *end(size_t row, size_t field) const { return text + ends[row * fields + field]; }
};

// Up to five letters of either case as a word of lower-case bytes, the first one lowest; 0 for anything
// else.
constexpr uint64_t letters(std::string_view text) {
  if (text.empty() || text.size() > 5) return 0;
  uint64_t word = 0;
  for (size_t i = text.size(); i-- > 0;) {
    const uint8_t lower = static_cast<uint8_t>(text[i]) | 0x20;
    if (lower < 'a' || lower > 'z') return 0;
    word = word << 8 | lower;
  }
  return word;
}

uint64_t letters(const uint8_t *begin, const uint8_t *end) {
  return letters({reinterpret_cast<const char *>(begin), static_cast<size_t>(end - begin)});
}

bool is_bit(const uint8_t *begin, const uint8_t *end) {
  return end - begin == 1 && (*begin == '0' || *begin == '1');
}

bool is_blank(uint8_t byte) { return byte == ' ' || byte == '\t'; }

// The parsers of a column return false if a field is not plain.

bool parse_continuous(const Tile &tile, size_t field, const Words &missing, float *out) {
  bool is_plain = true;
  for (size_t row = 0; row < tile.rows; ++row) {
    const uint8_t *const begin = tile.begin(row, field), *const end = tile.end(row, field);
    const bool is_negative = begin < end && *begin == '-';
    const auto length = static_cast<size_t>(end - begin) - is_negative;
    if (length <= 8 && end - tile.text >= 8) {
      const uint64_t word = tail(end, length);
      if (are_digits(word) && !(is_negative && length == 0)) [[likely]] {
        const auto magnitude = static_cast<float>(static_cast<double>(decimal(word)));
        out[row] = length == 0 ? kMissing : is_negative ? -magnitude : magnitude;
        continue;
      }
    }
    double value = 0;
    if (begin == end || missing.has(begin, end)) {
      out[row] = kMissing;
    } else {
      is_plain &= read_number(begin, end, true, &value);
      out[row] = static_cast<float>(value);
    }
  }
  return is_plain;
}

bool parse_integers(const Tile &tile, size_t field, const Words &missing, int64_t *out) {
  bool is_plain = true;
  for (size_t row = 0; row < tile.rows; ++row) {
    const uint8_t *const begin = tile.begin(row, field), *const end = tile.end(row, field);
    const bool is_negative = begin < end && *begin == '-';
    const auto length = static_cast<size_t>(end - begin) - is_negative;
    if (length <= 8 && end - tile.text >= 8) {
      const uint64_t word = tail(end, length);
      if (are_digits(word) && !(is_negative && length == 0)) [[likely]] {
        const auto magnitude = static_cast<int64_t>(decimal(word));
        out[row] = length == 0 ? kNullInt64 : is_negative ? -magnitude : magnitude;
        continue;
      }
    }
    double value = 0;
    const bool is_missing = begin == end || missing.has(begin, end);
    is_plain &= is_missing || read_number(begin, end, false, &value);
    out[row] = is_missing ? kNullInt64 : static_cast<int64_t>(value);
  }
  return is_plain;
}

bool parse_hex(const Tile &tile, size_t field, const Words &missing, int64_t *out) {
  bool is_plain = true;
  for (size_t row = 0; row < tile.rows; ++row) {
    const uint8_t *const begin = tile.begin(row, field), *const end = tile.end(row, field);
    const auto length = static_cast<size_t>(end - begin);
    if (length <= 8 && end - tile.text >= 8) {
      const uint64_t word = tail(end, length);
      if (are_hex_digits(word)) [[likely]] {
        out[row] = length == 0 ? kNullInt64 : static_cast<int64_t>(hexadecimal(word));
        continue;
      }
    }
    uint64_t value = 0;
    const bool is_missing = begin == end || missing.has(begin, end);
    is_plain &= is_missing || read_hex(begin, end, &value);
    out[row] = is_missing ? kNullInt64 : static_cast<int64_t>(value);
  }
  return is_plain;
}

bool parse_booleans(const Tile &tile, size_t field, const Words &missing, int64_t *out) {
  for (size_t row = 0; row < tile.rows; ++row) {
    const uint8_t *const begin = tile.begin(row, field), *const end = tile.end(row, field);
    if (is_bit(begin, end)) {
      out[row] = *begin - '0';
    } else if (begin == end || missing.has(begin, end)) {
      out[row] = kNullInt64;
    } else {
      switch (letters(begin, end)) {
        case letters("true"):
        case letters("t"):
        case letters("yes"):
        case letters("y"):
        case letters("on"):
          out[row] = 1;
          break;
        case letters("false"):
        case letters("f"):
        case letters("no"):
        case letters("n"):
        case letters("off"):
          out[row] = 0;
          break;
        default:
          return false;
      }
    }
  }
  return true;
}

bool parse_labels(const Tile &tile, size_t field, const Words &missing, int8_t *out) {
  bool is_plain = true;
  for (size_t row = 0; row < tile.rows; ++row) {
    const uint8_t *const begin = tile.begin(row, field), *const end = tile.end(row, field);
    if (is_bit(begin, end)) [[likely]] {
      out[row] = static_cast<int8_t>(*begin - '0');
      continue;
    }
    const uint64_t word = letters(begin, end);
    is_plain &= (word == letters("true") || word == letters("false")) && !missing.has(begin, end);
    out[row] = word == letters("true");
  }
  return is_plain;
}

bool parse_clicks(const Tile &tile, size_t field, const Lines &lines, int8_t *out) {
  bool is_plain = true;
  for (size_t row = 0; row < tile.rows; ++row) {
    const uint8_t *const begin = tile.begin(row, field), *const end = tile.end(row, field);
    is_plain &= begin != end && !is_blank(*begin) && !is_blank(end[-1]) &&
                !lines.missing.has(begin, end);
    out[row] = lines.clicks.has(begin, end);
  }
  return is_plain;
}

void grow(FieldColumn &column, size_t wanted) {
  if (wanted <= column.data_capacity) return;
  const size_t capacity = std::max(wanted, column.data_capacity * 2);
  auto data = std::make_unique_for_overwrite<uint8_t[]>(capacity);
  std::copy_n(column.data.get(), column.data_size, data.get());
  column.data = std::move(data);
  column.data_capacity = capacity;
}

// `row` is the tile's first row in the column. A short string is copied as 16 bytes, with what follows
// it, if text and column are long enough.
void copy_text(const Tile &tile, size_t field, size_t row, const Lines &lines, FieldColumn &column) {
  constexpr size_t kShort = 16;
  size_t bytes = 0;
  for (size_t i = 0; i < tile.rows; ++i)
    bytes += static_cast<size_t>(tile.end(i, field) - tile.begin(i, field));
  grow(column, column.data_size + bytes + kShort);
  uint8_t *to = column.data.get() + column.data_size;
  int64_t *const offsets = column.integers.get() + row + 1;
  const uint8_t *const text_end = lines.text + lines.size;
  for (size_t i = 0; i < tile.rows; ++i) {
    const uint8_t *const begin = tile.begin(i, field), *const end = tile.end(i, field);
    const auto length = lines.missing.has(begin, end) ? size_t{0} : static_cast<size_t>(end - begin);
    if (length <= kShort && static_cast<size_t>(text_end - begin) >= kShort) {
      std::memcpy(to, begin, kShort);
    } else {
      std::memcpy(to, begin, length);
    }
    to += length;
    offsets[i] = to - column.data.get();
  }
  column.data_size = static_cast<size_t>(to - column.data.get());
}

bool parse_tile(const Tile &tile, size_t row, const Lines &lines, std::vector<FieldColumn> &columns) {
  for (size_t field = 0; field < columns.size(); ++field) {
    FieldColumn &column = columns[field];
    bool is_plain = true;
    switch (column.field) {
      case Field::kSkip:
        break;
      case Field::kContinuous:
        is_plain = parse_continuous(tile, field, lines.missing, column.numbers.get() + row);
        break;
      case Field::kInteger:
        is_plain = parse_integers(tile, field, lines.missing, column.integers.get() + row);
        break;
      case Field::kHex:
        is_plain = parse_hex(tile, field, lines.missing, column.integers.get() + row);
        break;
      case Field::kBoolean:
        is_plain = parse_booleans(tile, field, lines.missing, column.integers.get() + row);
        break;
      case Field::kText:
        copy_text(tile, field, row, lines, column);
        break;
      case Field::kLabel:
        is_plain = parse_labels(tile, field, lines.missing, column.labels.get() + row);
        break;
      case Field::kClicks:
        is_plain = parse_clicks(tile, field, lines, column.labels.get() + row);
        break;
    }
    if (!is_plain) return false;
  }
  return true;
}

void allocate(size_t rows, std::vector<FieldColumn> &columns) {
  for (FieldColumn &column : columns) {
    if (column.field == Field::kContinuous)
      column.numbers = std::make_unique_for_overwrite<float[]>(rows);
    if (column.field == Field::kInteger || column.field == Field::kHex ||
        column.field == Field::kBoolean)
      column.integers = std::make_unique_for_overwrite<int64_t[]>(rows);
    if (column.field == Field::kLabel || column.field == Field::kClicks)
      column.labels = std::make_unique_for_overwrite<int8_t[]>(rows);
    if (column.field == Field::kText) {
      column.integers = std::make_unique_for_overwrite<int64_t[]>(rows + 1);
      column.integers[0] = 0;
    }
  }
}

// The end of the last whole line in about `kTileBytes` bytes from `start`, past its newline.
size_t tile_end(const uint8_t *text, size_t start, size_t size) {
  if (size - start <= kTileBytes) return size;
  const void *newline = memrchr(text + start, '\n', kTileBytes);
  if (newline == nullptr)
    newline = std::memchr(text + start + kTileBytes, '\n', size - start - kTileBytes);
  return static_cast<size_t>(static_cast<const uint8_t *>(newline) - text) + 1;
}

}  // namespace

Words::Words(std::vector<std::string> words) : words_(std::move(words)) {
  for (const std::string &word : words_)
    lengths_ |= uint64_t{1} << std::min(word.size(), kLongLength);
}

bool Words::has(const uint8_t *begin, const uint8_t *end) const {
  const auto length = static_cast<size_t>(end - begin);
  if ((lengths_ >> std::min(length, kLongLength) & 1) == 0) return false;
  return std::any_of(words_.begin(), words_.end(), [&](const std::string &word) {
    return word.size() == length && std::memcmp(word.data(), begin, length) == 0;
  });
}

size_t count_lines(const uint8_t *text, size_t size) {
  return static_cast<size_t>(std::count(text, text + size, static_cast<uint8_t>('\n')));
}

bool parse_lines(const Lines &lines, size_t rows, std::vector<FieldColumn> &columns) {
  const uint8_t *const text = lines.text;
  const size_t fields = columns.size();
  if (lines.size == 0 || lines.size > UINT32_MAX - 64 || text[lines.size - 1] != '\n' || fields == 0)
    return false;
  allocate(rows, columns);
  std::vector<uint32_t> ends;
  bool is_ascii = true;
  size_t row = 0;
  for (size_t start = 0; start < lines.size;) {
    const size_t end = tile_end(text, start, lines.size);
    ends.resize(std::max(ends.size(), end - start + 65));
    ends[0] = static_cast<uint32_t>(start) - 1;  // the end of the line before; wraps at 0
    Scanned scanned{ends.data() + 1};
    find_ends(text, start, end, lines.separator, scanned);
    const Tile tile{text, ends.data() + 1, fields, scanned.newlines};
    is_ascii &= !scanned.high;
    if (static_cast<size_t>(scanned.next - tile.ends) != tile.rows * fields || scanned.refused ||
        (lines.is_ascii && !is_ascii))
      return false;
    for (size_t i = 0; i < tile.rows; ++i)
      if (*tile.end(i, fields - 1) != '\n' || tile.begin(i, 0) == tile.end(i, fields - 1))
        return false;
    if (!parse_tile(tile, row, lines, columns)) return false;
    row += tile.rows;
    start = end;
  }
  return row == rows && (is_ascii || is_utf8(text, lines.size));
}

}  // namespace plumbline
