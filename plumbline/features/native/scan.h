// Where the separators and line ends of a text are.
#pragma once

#include <cstddef>
#include <cstdint>

namespace plumbline {

// What a scan has found; several scans of one text go on with it.
struct Scanned {
  uint32_t *next;        // where the place of the next separator or newline goes
  size_t newlines = 0;   // of this text so far
  bool refused = false;  // whether the text has a carriage return or a NUL
  bool high = false;     // whether the text has a byte above 127
};

// Adds the places of separators and newlines in [start, end); room for 64 more than there are.
void find_ends(const uint8_t *text, size_t start, size_t end, uint8_t separator, Scanned &scanned);

// Whether the bytes are UTF-8 as Python reads it: no surrogates, nothing longer than needed.
bool is_utf8(const uint8_t *text, size_t size);

}  // namespace plumbline
