// Integers of any size, for the few templates that leave 64 bits; every result is limited to kMaxBits.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nemotron::jinja {

class BigInt {
 public:
  static constexpr size_t kMaxBits = 14'300;  // 4,300 decimal digits: beyond them Python refuses to print an integer

  BigInt() = default;
  explicit BigInt(int64_t value);
  explicit BigInt(uint64_t value);
  static BigInt truncate(double value);  // `value` finite

  // Digits of `base` (2 to 36) without sign or prefix; the caller has checked that all are digits.
  static BigInt parse(std::string_view digits, unsigned base);

  bool is_zero() const { return limbs_.empty(); }
  bool is_negative() const { return negative_; }
  bool is_odd() const { return !limbs_.empty() && (limbs_[0] & 1); }
  size_t bits() const;
  size_t limbs() const { return limbs_.size(); }  // what a linear pass costs
  std::optional<int64_t> int64() const;           // nothing where it does not fit
  double real() const;                            // rounded to nearest even; infinite where it does not fit
  std::string text(unsigned base = 10) const;

  BigInt operator-() const;
  friend BigInt operator+(const BigInt& a, const BigInt& b);
  friend BigInt operator-(const BigInt& a, const BigInt& b) { return a + -b; }
  friend BigInt operator*(const BigInt& a, const BigInt& b);
  friend bool operator==(const BigInt&, const BigInt&) = default;
  friend bool operator<(const BigInt& a, const BigInt& b);
  // Rounded towards minus infinity, as Python does; `b` is not zero.
  static void divide(const BigInt& a, const BigInt& b, BigInt& quotient, BigInt& remainder);
  static BigInt power(BigInt base, uint64_t exponent);
  BigInt shifted_left(size_t count) const;

 private:
  static int compare_magnitude(const BigInt& a, const BigInt& b);
  void add_magnitude(const BigInt& b);
  void subtract_magnitude(const BigInt& b);  // |*this| >= |b|
  uint32_t divide_small(uint32_t divisor);   // in place; returns the remainder
  void multiply_add_small(uint32_t factor, uint32_t addend);
  void trim();  // and checks kMaxBits

  std::vector<uint32_t> limbs_;  // magnitude, least significant first, no leading zeros
  bool negative_ = false;
};

}  // namespace nemotron::jinja
