// The natural logarithm without branches, so that compilers can vectorize it.
//
// It uses IEEE 754 operations only, so a request of one row and a batch get the same bits. Math
// libraries do not guarantee that for their scalar and vector functions. The error is below one unit
// in the last place. The reduction x = 2^k m, sqrt(1/2) <= m < sqrt(2), and the minimax polynomial in
// s = f / (2 + f), f = m - 1, are those of Sun's fdlibm (e_log.c, 1993).
#pragma once

#include <bit>
#include <cstdint>
#include <limits>

namespace plumbline {

// x must not be subnormal; 1.0 plus a double never is. 0 gives -inf, a negative x NaN.
inline double logarithm(double x) {
  constexpr uint64_t kRootOfHalf = 0x3FE6A09E667F3BCD;
  constexpr double kLn2High = 6.93147180369123816490e-01, kLn2Low = 1.90821492927058770002e-10;
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  // 1.5 * 2^52. Adding an integer n < 2^51 to its bits gives the double 1.5 * 2^52 + n.
  constexpr double kShift = 6755399441055744.0;

  const uint64_t bits = std::bit_cast<uint64_t>(x);
  const uint64_t above = bits - kRootOfHalf + (1024ull << 52);  // keeps the exponent positive
  const uint64_t exponent = above >> 52;                        // k + 1024
  const double m = std::bit_cast<double>(bits - ((exponent - 1024) << 52));
  const double k =
      std::bit_cast<double>(exponent + std::bit_cast<uint64_t>(kShift)) - (kShift + 1024.0);
  const double f = m - 1.0;
  const double s = f / (2.0 + f);
  const double z = s * s, w = z * z;
  const double even = w * (3.999999999940941908e-01 +
                           w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01));
  const double odd = z * (6.666666666666735130e-01 +
                          w * (2.857142874366239149e-01 +
                               w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01)));
  const double half = 0.5 * f * f;
  const double log = k * kLn2High - ((half - (s * (half + (odd + even)) + k * kLn2Low)) - f);
  const double finite = x > 0.0 ? log : x == 0.0 ? -kInfinity : std::numeric_limits<double>::quiet_NaN();
  return x == kInfinity ? x : finite;
}

}  // namespace plumbline
