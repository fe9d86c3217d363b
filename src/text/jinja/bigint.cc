// BigInt: schoolbook arithmetic on 32-bit limbs; the numbers are short.

#include "text/jinja/bigint.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "text/jinja/failure.h"

namespace nemotron::jinja {

BigInt::BigInt(uint64_t value) {
  for (; value; value >>= 32) limbs_.push_back(static_cast<uint32_t>(value));
}

BigInt::BigInt(int64_t value) : BigInt(value < 0 ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value)) {
  negative_ = value < 0;
}

BigInt BigInt::truncate(double value) {
  int exponent = 0;
  const double fraction = std::frexp(std::trunc(std::fabs(value)), &exponent);
  if (fraction == 0) return {};
  const auto mantissa = static_cast<uint64_t>(std::ldexp(fraction, 53));
  BigInt out = exponent >= 53 ? BigInt(mantissa).shifted_left(static_cast<size_t>(exponent - 53))
                              : BigInt(mantissa >> (53 - exponent));
  out.negative_ = value < 0;
  return out;
}

BigInt BigInt::parse(std::string_view digits, unsigned base) {
  BigInt out;
  for (const char c : digits) {
    const unsigned digit = c <= '9' ? unsigned(c - '0') : unsigned((c | 0x20) - 'a') + 10;
    out.multiply_add_small(base, digit);
  }
  return out;
}

void BigInt::trim() {
  while (!limbs_.empty() && limbs_.back() == 0) limbs_.pop_back();
  if (limbs_.empty()) negative_ = false;
  if (bits() > kMaxBits) fail_value("an integer exceeds 4300 digits");
}

size_t BigInt::bits() const {
  return limbs_.empty() ? 0 : limbs_.size() * 32 - static_cast<size_t>(std::countl_zero(limbs_.back()));
}

std::optional<int64_t> BigInt::int64() const {
  if (limbs_.size() > 2) return std::nullopt;
  uint64_t magnitude = 0;
  for (size_t i = limbs_.size(); i-- > 0;) magnitude = magnitude << 32 | limbs_[i];
  const uint64_t limit = uint64_t{1} << 63;
  if (magnitude > limit || (magnitude == limit && !negative_)) return std::nullopt;
  return static_cast<int64_t>(negative_ ? 0 - magnitude : magnitude);
}

double BigInt::real() const {
  const size_t length = bits();
  if (length > 1024)
    return negative_ ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity();
  // The top 64 bits, the last of them sticky, round once to 53.
  const size_t drop = length > 64 ? length - 64 : 0;
  uint64_t top = 0;
  for (size_t i = length; i-- > drop;) top = top << 1 | (limbs_[i / 32] >> (i % 32) & 1);
  for (size_t i = 0; i < drop; ++i) {
    if (limbs_[i / 32] >> (i % 32) & 1) {
      top |= 1;
      break;
    }
  }
  const double magnitude = std::ldexp(static_cast<double>(top), static_cast<int>(drop));
  return negative_ ? -magnitude : magnitude;
}

std::string BigInt::text(unsigned base) const {
  if (is_zero()) return "0";
  std::string out;
  for (BigInt rest = *this; !rest.limbs_.empty();) {
    // Nine decimal digits (or as many of another base) at a time keep the quadratic part short.
    uint32_t chunk_base = base;
    int chunk = 1;
    while (uint64_t{chunk_base} * base <= 1'000'000'000) chunk_base *= base, ++chunk;
    uint32_t digits = rest.divide_small(chunk_base);
    for (int i = 0; i < chunk; ++i, digits /= base) out += "0123456789abcdefghijklmnopqrstuvwxyz"[digits % base];
  }
  out.erase(out.find_last_not_of('0') + 1);
  if (negative_) out += '-';
  std::reverse(out.begin(), out.end());
  return out;
}

BigInt BigInt::operator-() const {
  BigInt out = *this;
  out.negative_ = !negative_ && !is_zero();
  return out;
}

int BigInt::compare_magnitude(const BigInt& a, const BigInt& b) {
  if (a.limbs_.size() != b.limbs_.size()) return a.limbs_.size() < b.limbs_.size() ? -1 : 1;
  for (size_t i = a.limbs_.size(); i-- > 0;) {
    if (a.limbs_[i] != b.limbs_[i]) return a.limbs_[i] < b.limbs_[i] ? -1 : 1;
  }
  return 0;
}

void BigInt::add_magnitude(const BigInt& b) {
  uint64_t carry = 0;
  for (size_t i = 0; i < b.limbs_.size() || carry; ++i) {
    if (i == limbs_.size()) limbs_.push_back(0);
    carry += uint64_t{limbs_[i]} + (i < b.limbs_.size() ? b.limbs_[i] : 0);
    limbs_[i] = static_cast<uint32_t>(carry);
    carry >>= 32;
  }
}

void BigInt::subtract_magnitude(const BigInt& b) {
  int64_t borrow = 0;
  for (size_t i = 0; i < limbs_.size(); ++i) {
    borrow += int64_t{limbs_[i]} - (i < b.limbs_.size() ? int64_t{b.limbs_[i]} : 0);
    limbs_[i] = static_cast<uint32_t>(borrow);
    borrow >>= 32;
  }
}

BigInt operator+(const BigInt& a, const BigInt& b) {
  BigInt out = a;
  if (a.negative_ == b.negative_) {
    out.add_magnitude(b);
  } else if (BigInt::compare_magnitude(a, b) >= 0) {
    out.subtract_magnitude(b);
  } else {
    out = b;
    out.subtract_magnitude(a);
  }
  out.trim();
  return out;
}

BigInt operator*(const BigInt& a, const BigInt& b) {
  BigInt out;
  if (a.bits() + b.bits() > BigInt::kMaxBits + 1) fail_value("an integer exceeds 4300 digits");
  out.limbs_.resize(a.limbs_.size() + b.limbs_.size());
  for (size_t i = 0; i < a.limbs_.size(); ++i) {
    uint64_t carry = 0;
    for (size_t j = 0; j < b.limbs_.size() || carry; ++j) {
      carry += out.limbs_[i + j] + (j < b.limbs_.size() ? uint64_t{a.limbs_[i]} * b.limbs_[j] : 0);
      out.limbs_[i + j] = static_cast<uint32_t>(carry);
      carry >>= 32;
    }
  }
  out.negative_ = a.negative_ != b.negative_;
  out.trim();
  return out;
}

bool operator<(const BigInt& a, const BigInt& b) {
  if (a.negative_ != b.negative_) return a.negative_;
  const int order = BigInt::compare_magnitude(a, b);
  return a.negative_ ? order > 0 : order < 0;
}

uint32_t BigInt::divide_small(uint32_t divisor) {
  uint64_t rest = 0;
  for (size_t i = limbs_.size(); i-- > 0;) {
    rest = rest << 32 | limbs_[i];
    limbs_[i] = static_cast<uint32_t>(rest / divisor);
    rest %= divisor;
  }
  trim();
  return static_cast<uint32_t>(rest);
}

void BigInt::multiply_add_small(uint32_t factor, uint32_t addend) {
  uint64_t carry = addend;
  for (uint32_t& limb : limbs_) {
    carry += uint64_t{limb} * factor;
    limb = static_cast<uint32_t>(carry);
    carry >>= 32;
  }
  if (carry) limbs_.push_back(static_cast<uint32_t>(carry));
  trim();
}

void BigInt::divide(const BigInt& a, const BigInt& b, BigInt& quotient, BigInt& remainder) {
  // Bit by bit: at most kMaxBits steps over at most 447 limbs, and templates hardly ever do it.
  BigInt q, r;
  q.limbs_.assign(a.limbs_.size(), 0);
  for (size_t i = a.bits(); i-- > 0;) {
    r.multiply_add_small(2, a.limbs_[i / 32] >> (i % 32) & 1);
    if (compare_magnitude(r, b) >= 0) {
      r.subtract_magnitude(b);
      r.trim();
      q.limbs_[i / 32] |= uint32_t{1} << (i % 32);
    }
  }
  q.trim();
  q.negative_ = !q.is_zero() && a.negative_ != b.negative_;
  r.negative_ = !r.is_zero() && a.negative_;
  if (!r.is_zero() && a.negative_ != b.negative_) {
    q = q - BigInt(int64_t{1});
    r = r + b;
  }
  quotient = std::move(q);
  remainder = std::move(r);
}

BigInt BigInt::power(BigInt base, uint64_t exponent) {
  BigInt out(int64_t{1});
  for (; exponent; exponent >>= 1) {
    if (exponent & 1) out = out * base;
    if (exponent > 1) base = base * base;
  }
  return out;
}

BigInt BigInt::shifted_left(size_t count) const {
  BigInt out = *this;
  out.limbs_.insert(out.limbs_.begin(), count / 32, 0);
  if (count % 32) out.multiply_add_small(uint32_t{1} << (count % 32), 0);
  out.trim();
  return out;
}

}  // namespace nemotron::jinja
