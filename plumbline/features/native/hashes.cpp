#include "hashes.h"

#include <bit>

#include "clones.h"

namespace plumbline {
namespace {

struct SipState {
  uint64_t a, b, c, d;

  void round() {
    a += b;
    b = std::rotl(b, 13) ^ a;
    a = std::rotl(a, 32);
    c += d;
    d = std::rotl(d, 16) ^ c;
    a += d;
    d = std::rotl(d, 21) ^ a;
    c += b;
    b = std::rotl(b, 17) ^ c;
    c = std::rotl(c, 32);
  }
  void take(uint64_t word) {
    d ^= word;
    round();
    round();
    a ^= word;
  }
};

// The key "0123456789123456", xored with SipHash's four constants.
constexpr uint64_t kKey0 = 0x3736353433323130u, kKey1 = 0x3635343332313938u;
constexpr SipState kStart = {kKey0 ^ 0x736F6D6570736575u, kKey1 ^ 0x646F72616E646F6Du,
                             kKey0 ^ 0x6C7967656E657261u, kKey1 ^ 0x7465646279746573u};

template <class T>
uint64_t bits(T value) {
  return std::bit_cast<uint64_t>(value);
}

PLUMBLINE_CLONES("arch=x86-64-v4")
void mix_contiguous(const uint64_t *values, uint64_t *hashes, size_t size) {
  for (size_t row = 0; row < size; ++row) hashes[row] = pandas_mix(values[row]);
}

template <class T>
void mix(Column<const T> values, uint64_t *hashes) {
  if (values.contiguous()) {
    mix_contiguous(reinterpret_cast<const uint64_t *>(values.data()), hashes, values.size);
    return;
  }
  for (size_t row = 0; row < values.size; ++row) hashes[row] = pandas_mix(bits(values[row]));
}

}  // namespace

uint64_t pandas_text_hash(const uint8_t *data, size_t length) {
  SipState state = kStart;
  size_t done = 0;
  for (; done + 8 <= length; done += 8) state.take(short_word(data + done, 8));
  state.take(short_word(data + done, length - done) | static_cast<uint64_t>(length) << 56);
  state.c ^= 0xFF;
  for (int i = 0; i < 4; ++i) state.round();
  return pandas_mix(state.a ^ state.b ^ state.c ^ state.d);
}

void pandas_integer_hashes(Column<const int64_t> values, uint64_t *hashes) { mix(values, hashes); }

void pandas_number_hashes(Column<const double> values, uint64_t *hashes) { mix(values, hashes); }

}  // namespace plumbline
