// Finds the separators and newlines in a text.
#pragma once

#include <cstddef>
#include <cstdint>

namespace plumbline {

// The state of a scan; consecutive scans of a text share it.
struct Scanned {
  uint32_t *next;        // where the next offset is written
  size_t newlines = 0;   // so far
  bool refused = false;  // a carriage return or a NUL was seen
  bool high = false;     // a byte above 127 was seen
};

// Writes the offsets of separators and newlines in [start, end). `next` needs room for 64 extra ones.
void find_ends(const uint8_t *text, size_t start, size_t end, uint8_t separator, Scanned &scanned);

// Whether the bytes are valid UTF-8, as in Python: no surrogates, no overlong encodings.
bool is_utf8(const uint8_t *text, size_t size);

}  // namespace plumbline
