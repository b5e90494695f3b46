// 16×16×16 fragments. Each lane holds eight of a fragment's 256 items, and loads and stores them
// independently of other lanes; only the product is computed by all lanes together.
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

#include "block.h"
#include "memory.h"
#include "numbers.h"

namespace plumbline::wmma {

struct matrix_a {};
struct matrix_b {};
struct accumulator {};
struct row_major {};
struct col_major {};
enum layout_t { mem_row_major, mem_col_major };

constexpr int kSide = 16;
constexpr int kOfLane = kSide * kSide / emulation::kWarp;
constexpr size_t kAlignment = 32;  // bytes: required of a fragment's address by the hardware

template <typename Use, int M, int N, int K, typename T, typename Layout = void>
struct fragment {
  static_assert(M == kSide && N == kSide && K == kSide);
  std::array<T, kOfLane> items;
};

namespace detail {

// Row-major index of a lane's item `number`. CUDA does not specify it; scattered like this, no
// kernel reads by chance what its own lane stored.
inline int item_of(int lane, int number) {
  return (lane * kOfLane + number) * 37 % (kSide * kSide);
}

inline float widened(__nv_bfloat16 number) { return __bfloat162float(number); }
inline float widened(__half number) { return __half2float(number); }

inline int64_t place(int item, bool by_column, unsigned stride) {
  const int row = item / kSide, column = item % kSide;
  return by_column ? int64_t(column) * stride + row : int64_t(row) * stride + column;
}

// The hardware requires strides in multiples of 16 bytes.
template <typename T>
void check(const Shared<T> &array, unsigned stride) {
  if (stride * sizeof(T) % 16 != 0)
    emulation::fail("a fragment's stride is no multiple of 16 bytes");
  array.at(0, 1, kAlignment);
}

}  // namespace detail

template <typename Use, typename T, typename Layout>
void load_matrix_sync(fragment<Use, 16, 16, 16, T, Layout> &to, const Shared<T> &from,
                      unsigned stride) {
  detail::check(from, stride);
  for (int number = 0; number < kOfLane; ++number) {
    const int item = detail::item_of(emulation::thread().lane, number);
    to.items[number] = from[detail::place(item, std::is_same_v<Layout, col_major>, stride)];
  }
}

inline void store_matrix_sync(const Shared<float> &to,
                              const fragment<accumulator, 16, 16, 16, float> &from, unsigned stride,
                              layout_t layout) {
  detail::check(to, stride);
  for (int number = 0; number < kOfLane; ++number) {
    const int item = detail::item_of(emulation::thread().lane, number);
    to[detail::place(item, layout == mem_col_major, stride)] = from.items[number];
  }
}

template <typename T, typename Value>
void fill_fragment(fragment<accumulator, 16, 16, 16, T> &to, Value value) {
  to.items.fill(T(value));
}

// `to` = a · b + c; the layouts of a and b matter only when they are loaded.
template <typename T, typename LayoutA, typename LayoutB>
void mma_sync(fragment<accumulator, 16, 16, 16, float> &to,
              const fragment<matrix_a, 16, 16, 16, T, LayoutA> &a,
              const fragment<matrix_b, 16, 16, 16, T, LayoutB> &b,
              const fragment<accumulator, 16, 16, 16, float> &c) {
  struct Operand {
    const std::array<T, kOfLane> *a, *b;
    const std::array<float, kOfLane> *c;
    std::array<float, kOfLane> *to;
  } operand{&a.items, &b.items, &c.items, &to.items};
  emulation::meet_warp("mma_sync", 0xffffffffu, &operand, [](emulation::Operands &lanes) {
    float a_MK[kSide * kSide], b_KN[kSide * kSide];
    for (int lane = 0; lane < emulation::kWarp; ++lane) {
      const auto *given = static_cast<Operand *>(lanes[lane]);
      for (int number = 0; number < kOfLane; ++number) {
        a_MK[detail::item_of(lane, number)] = detail::widened((*given->a)[number]);
        b_KN[detail::item_of(lane, number)] = detail::widened((*given->b)[number]);
      }
    }
    for (int lane = 0; lane < emulation::kWarp; ++lane) {
      const auto *taken = static_cast<Operand *>(lanes[lane]);
      for (int number = 0; number < kOfLane; ++number) {
        const int row = detail::item_of(lane, number) / kSide,
                  column = detail::item_of(lane, number) % kSide;
        float sum = (*taken->c)[number];
        for (int k = 0; k < kSide; ++k) sum += a_MK[row * kSide + k] * b_KN[k * kSide + column];
        (*taken->to)[number] = sum;
      }
    }
  });
}

}  // namespace plumbline::wmma
