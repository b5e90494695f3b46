// Where the separators and line ends of a text are, 64 bytes at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

namespace plumbline {

// What a block of 64 bytes holds: a bit a byte, the first byte lowest.
struct Marks {
  uint64_t ends;      // separators and newlines
  uint64_t newlines;  // newlines alone
};

class Scanner {
 public:
  // `refused`: up to three bytes that must not come.
  Scanner(uint8_t separator, const uint8_t (&refused)[3]) {
#if defined(__x86_64__)
    separator_ = _mm_set1_epi8(static_cast<char>(separator));
    for (int i = 0; i < 3; ++i) refused_[i] = _mm_set1_epi8(static_cast<char>(refused[i]));
#else
    separator_ = separator;
    std::memcpy(refused_, refused, sizeof refused_);
#endif
  }

  Marks scan(const uint8_t *text) {
    Marks marks{0, 0};
#if defined(__x86_64__)
    for (int part = 0; part < 4; ++part) {
      const __m128i bytes =
          _mm_loadu_si128(reinterpret_cast<const __m128i *>(text + 16 * part));
      const __m128i newline = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\n'));
      const __m128i end = _mm_or_si128(newline, _mm_cmpeq_epi8(bytes, separator_));
      marks.newlines |= static_cast<uint64_t>(_mm_movemask_epi8(newline)) << (16 * part);
      marks.ends |= static_cast<uint64_t>(_mm_movemask_epi8(end)) << (16 * part);
      high_ = _mm_or_si128(high_, bytes);
      for (const __m128i &one : refused_) found_ = _mm_or_si128(found_, _mm_cmpeq_epi8(bytes, one));
    }
#else
    for (int i = 0; i < 64; ++i) {
      const uint8_t byte = text[i];
      marks.newlines |= static_cast<uint64_t>(byte == '\n') << i;
      marks.ends |= static_cast<uint64_t>(byte == '\n' || byte == separator_) << i;
      high_ |= byte;
      for (const uint8_t one : refused_) found_ |= byte == one;
    }
#endif
    return marks;
  }

  // Of all that was scanned: whether a byte came that must not, and whether one above 127 did.
  bool found_refused() const {
#if defined(__x86_64__)
    return _mm_movemask_epi8(found_) != 0;
#else
    return found_;
#endif
  }
  bool found_high() const {
#if defined(__x86_64__)
    return _mm_movemask_epi8(high_) != 0;
#else
    return high_ >= 0x80;
#endif
  }

 private:
#if defined(__x86_64__)
  __m128i separator_, refused_[3], found_ = _mm_setzero_si128(), high_ = _mm_setzero_si128();
#else
  uint8_t separator_, refused_[3], high_ = 0;
  bool found_ = false;
#endif
};

// Whether the bytes are UTF-8 as Python reads it: no surrogates, nothing longer than needed.
bool is_utf8(const uint8_t *text, size_t size);

}  // namespace plumbline
