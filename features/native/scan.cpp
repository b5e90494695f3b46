#include "scan.h"

namespace plumbline {
namespace {

bool continues(uint8_t byte) { return (byte & 0xC0) == 0x80; }

// The bytes of the character that begins here, 0 where none does.
size_t character(const uint8_t *at, size_t left) {
  const uint8_t lead = at[0];
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return 0;
  const size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (left < length) return 0;
  for (size_t i = 1; i < length; ++i)
    if (!continues(at[i])) return 0;
  const uint8_t second = at[1];
  const bool longer_than_needed =
      (lead == 0xE0 && second < 0xA0) || (lead == 0xF0 && second < 0x90);
  const bool is_surrogate = lead == 0xED && second >= 0xA0;
  const bool is_beyond = lead == 0xF4 && second >= 0x90;
  return longer_than_needed || is_surrogate || is_beyond ? 0 : length;
}

}  // namespace

bool is_utf8(const uint8_t *text, size_t size) {
  for (size_t at = 0; at < size;) {
    uint64_t word = 0x80;
    if (size - at >= 8) std::memcpy(&word, text + at, 8);
    if ((word & 0x8080808080808080u) == 0) {
      at += 8;
      continue;
    }
    const size_t length = character(text + at, size - at);
    if (length == 0) return false;
    at += length;
  }
  return true;
}

}  // namespace plumbline
