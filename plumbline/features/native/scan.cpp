#include "scan.h"

#include <array>
#include <bit>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace plumbline {
namespace {

constexpr size_t kBlock = 64;

// Bit masks of 64 bytes; the lowest bit is the first byte.
struct Marks {
  uint64_t newlines, separators, refused, high;
};

Marks plain_marks(const uint8_t *text, uint8_t separator) {
  Marks marks{};
  for (size_t i = 0; i < kBlock; ++i) {
    const uint8_t byte = text[i];
    const bool refused = byte == '\r' || byte == '\0';
    marks.newlines |= static_cast<uint64_t>(byte == '\n') << i;
    marks.separators |= static_cast<uint64_t>(byte == separator) << i;
    marks.refused |= static_cast<uint64_t>(refused) << i;
    marks.high |= static_cast<uint64_t>(byte >> 7) << i;
  }
  return marks;
}

template <class MarksOf>
[[gnu::always_inline]] inline void find(const uint8_t *text, size_t start, size_t end,
                                        uint8_t separator, Scanned &scanned, MarksOf marks_of) {
  uint32_t *next = scanned.next;
  uint64_t refused = 0, high = 0;
  for (size_t at = start; at < end; at += kBlock) {
    std::array<uint8_t, kBlock> rest;
    const uint8_t *block = text + at;
    if (end - at < kBlock) {  // padded with a byte that the scan ignores
      rest.fill(separator == ' ' ? '-' : ' ');
      std::memcpy(rest.data(), block, end - at);
      block = rest.data();
    }
    const Marks marks = marks_of(block, separator);
    refused |= marks.refused;
    high |= marks.high;
    scanned.newlines += static_cast<size_t>(std::popcount(marks.newlines));
    uint64_t bits = marks.newlines | marks.separators;
    uint32_t *const behind = next + std::popcount(bits);
    // Always eight at a time, even if fewer are left: fewer mispredicted branches.
    for (; next < behind; next += 8) {
      for (int i = 0; i < 8; ++i) {
        next[i] = static_cast<uint32_t>(at) + static_cast<uint32_t>(std::countr_zero(bits));
        bits &= bits - 1;
      }
    }
    next = behind;
  }
  scanned.next = next;
  scanned.refused |= refused != 0;
  scanned.high |= high != 0;
}

#if defined(__x86_64__)
__attribute__((target("avx2,bmi,popcnt"))) void find_avx2(const uint8_t *text, size_t start,
                                                          size_t end, uint8_t separator,
                                                          Scanned &scanned) {
  find(text, start, end, separator, scanned,
       [](const uint8_t *block, uint8_t separator) __attribute__((target("avx2,bmi,popcnt"))) {
             Marks marks{};
             for (int half = 0; half < 2; ++half) {
               const __m256i bytes =
                   _mm256_loadu_si256(reinterpret_cast<const __m256i *>(block + 32 * half));
               const auto mark = [half](__m256i equal) __attribute__((target("avx2,bmi,popcnt"))) {
                 return uint64_t{static_cast<uint32_t>(_mm256_movemask_epi8(equal))} << 32 * half;
               };
               const auto equal = [bytes](uint8_t byte)
                   __attribute__((target("avx2,bmi,popcnt"))) {
                     return _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(static_cast<char>(byte)));
                   };
               marks.newlines |= mark(equal('\n'));
               marks.separators |= mark(equal(separator));
               marks.high |= mark(bytes);
               marks.refused |= mark(_mm256_or_si256(equal('\r'), equal('\0')));
             }
             return marks;
           });
}
#endif

bool continues(uint8_t byte) { return (byte & 0xC0) == 0x80; }

// The length of the character at `at` in bytes, 0 if it is not valid.
size_t character(const uint8_t *at, size_t left) {
  const uint8_t lead = at[0];
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return 0;
  const size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (left < length) return 0;
  for (size_t i = 1; i < length; ++i)
    if (!continues(at[i])) return 0;
  const uint8_t second = at[1];
  const bool is_overlong =
      (lead == 0xE0 && second < 0xA0) || (lead == 0xF0 && second < 0x90);
  const bool is_surrogate = lead == 0xED && second >= 0xA0;
  const bool is_beyond = lead == 0xF4 && second >= 0x90;
  return is_overlong || is_surrogate || is_beyond ? 0 : length;
}

}  // namespace

void find_ends(const uint8_t *text, size_t start, size_t end, uint8_t separator, Scanned &scanned) {
#if defined(__x86_64__)
  static const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi");
  if (has_avx2) {
    find_avx2(text, start, end, separator, scanned);
    return;
  }
#endif
  find(text, start, end, separator, scanned, plain_marks);
}

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
