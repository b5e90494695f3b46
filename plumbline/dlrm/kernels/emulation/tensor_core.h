// `ldmatrix` and `mma.sync.m16n8k16`, with the layout of their registers that PTX specifies: lane
// 4 · g + t has, of a matrix of 8×8 16-bit items, those at (g, 2 · t) and (g, 2 · t + 1).
#pragma once

#include <cstdint>
#include <cstring>

#include "async_copy.h"
#include "block.h"
#include "memory.h"
#include "numbers.h"

namespace plumbline {
namespace emulation {

constexpr int kMatrixSide = 8, kMatrices = 4;

// A lane's part in a load of four matrices: it has the address of line `lane % 8` of matrix `lane /
// 8`, and gets one register of each matrix.
struct MatrixLoad {
  const uint16_t *line;
  uint32_t *registers;
  const Thread *thread;
};

inline uint16_t item_read(const Operands &lanes, const Thread &reader, int matrix, int row,
                          int column) {
  const auto &giver = *static_cast<MatrixLoad *>(lanes[matrix * kMatrixSide + row]);
  shared_read(giver.line + column, sizeof(uint16_t), reader);
  return giver.line[column];
}

// The hardware reads the lines of a matrix one after the other if they share banks.
inline void check_banks(const Operands &lanes, int matrix) {
  constexpr uintptr_t kLineBytes = 16, kLinesOfBanks = 8;
  const auto line_of = [&](int row) {
    return reinterpret_cast<uintptr_t>(
               static_cast<MatrixLoad *>(lanes[matrix * kMatrixSide + row])->line) /
           kLineBytes;
  };
  for (int row = 0; row < kMatrixSide; ++row)
    for (int before = 0; before < row; ++before)
      if (line_of(row) != line_of(before) &&
          line_of(row) % kLinesOfBanks == line_of(before) % kLinesOfBanks)
        fail("ldmatrix of lines that share banks of shared memory");
}

template <bool Transposed>
void load_matrices(Operands &lanes) {
  for (int matrix = 0; matrix < kMatrices; ++matrix) check_banks(lanes, matrix);
  for (int lane = 0; lane < kWarp; ++lane) {
    const auto &taker = *static_cast<MatrixLoad *>(lanes[lane]);
    const int g = lane / 4, t = lane % 4;
    for (int matrix = 0; matrix < kMatrices; ++matrix) {
      uint32_t both = 0;
      for (int each = 0; each < 2; ++each) {
        const int row = Transposed ? 2 * t + each : g, column = Transposed ? g : 2 * t + each;
        both |= uint32_t(item_read(lanes, *taker.thread, matrix, row, column)) << (16 * each);
      }
      taker.registers[matrix] = both;
    }
  }
}

template <typename T>
float half_of(uint32_t both, int each) {
  const uint16_t bits = uint16_t(both >> (16 * each));
  T number;
  std::memcpy(&number, &bits, sizeof(bits));
  if constexpr (std::is_same_v<T, __half>)
    return __half2float(number);
  else
    return __bfloat162float(number);
}

struct Product {
  const uint32_t *a;
  uint32_t b[2];
  float *sum;
};

template <typename T>
void multiply(Operands &lanes) {
  constexpr int kM = 16, kN = 8, kK = 16;
  float a_MK[kM][kK], b_KN[kK][kN];
  const auto product_of = [&](int lane) -> Product & {
    return *static_cast<Product *>(lanes[lane]);
  };
  for (int lane = 0; lane < kWarp; ++lane) {
    const Product &given = product_of(lane);
    const int g = lane / 4, t = lane % 4;
    for (int each = 0; each < 2; ++each) {
      for (int number = 0; number < 4; ++number)
        a_MK[g + number % 2 * 8][2 * t + each + number / 2 * 8] = half_of<T>(given.a[number], each);
      for (int number = 0; number < 2; ++number)
        b_KN[2 * t + each + number * 8][g] = half_of<T>(given.b[number], each);
    }
  }
  for (int lane = 0; lane < kWarp; ++lane)
    for (int number = 0; number < 4; ++number) {
      const int row = lane / 4 + number / 2 * 8, column = lane % 4 * 2 + number % 2;
      float &sum = product_of(lane).sum[number];
      for (int k = 0; k < kK; ++k) sum += a_MK[row][k] * b_KN[k][column];
    }
}

}  // namespace emulation

template <typename T>
void ldmatrix_x4(uint32_t (&registers)[4], const Shared<T> &array, int64_t first) {
  emulation::MatrixLoad load{reinterpret_cast<const uint16_t *>(array.at(first, 8, 16)), registers,
                             &emulation::thread()};
  emulation::meet_warp("ldmatrix", 0xffffffffu, &load, emulation::load_matrices<false>);
}

template <typename T>
void ldmatrix_x4_trans(uint32_t (&registers)[4], const Shared<T> &array, int64_t first) {
  emulation::MatrixLoad load{reinterpret_cast<const uint16_t *>(array.at(first, 8, 16)), registers,
                             &emulation::thread()};
  emulation::meet_warp("ldmatrix.trans", 0xffffffffu, &load, emulation::load_matrices<true>);
}

template <typename T>
void mma_m16n8k16(float (&sum)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  emulation::Product product{a, {b0, b1}, sum};
  emulation::meet_warp("mma.m16n8k16", 0xffffffffu, &product, emulation::multiply<T>);
}

}  // namespace plumbline
