// Arithmetic: 64-bit integers, BigInt where they overflow, doubles with Python's rules for // and %.

#include "text/jinja/arithmetic.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "text/jinja/failure.h"

namespace nemotron::jinja {

BigInt to_big(const Value& v) { return v.is(Kind::big_integer) ? v.as<BigInteger>().value : BigInt(v.integer()); }

double to_real(const Value& v) {
  if (v.is(Kind::real)) return v.real();
  if (!v.is(Kind::big_integer)) return static_cast<double>(v.integer());
  const double d = v.as<BigInteger>().value.real();
  if (std::isinf(d)) fail_value("int too large to convert to float");
  return d;
}

Value truncated(Heap& heap, double value) {
  if (std::isnan(value)) fail_value("cannot convert float NaN to integer");
  if (std::isinf(value)) fail_value("cannot convert float infinity to integer");
  return make_integer(heap, BigInt::truncate(value));
}

namespace {

std::partial_ordering compare_big(const BigInt& a, const BigInt& b) {
  return a == b  ? std::partial_ordering::equivalent
         : a < b ? std::partial_ordering::less
                 : std::partial_ordering::greater;
}

std::partial_ordering compare_integer_real(const Value& a, double b) {
  if (std::isnan(b)) return std::partial_ordering::unordered;
  if (std::isinf(b)) return b > 0 ? std::partial_ordering::less : std::partial_ordering::greater;
  const double whole = std::trunc(b);
  const auto order = compare_big(to_big(a), BigInt::truncate(whole));
  if (order != 0 || b == whole) return order;
  return b > whole ? std::partial_ordering::less : std::partial_ordering::greater;
}

[[noreturn]] void division_by_zero(BinaryOp op, bool real) {
  if (op == BinaryOp::divide) fail_value(real ? "float division by zero" : "division by zero");
  if (op == BinaryOp::modulo) fail_value(real ? "float modulo" : "integer modulo by zero");
  fail_value(real ? "float floor division by zero" : "integer division or modulo by zero");
}

// The quotient of two integers rounded once, whatever their size.
double true_quotient(const BigInt& a, const BigInt& b) {
  const BigInt x = a.is_negative() ? -a : a, y = b.is_negative() ? -b : b;
  const bool negative = a.is_negative() != b.is_negative();
  // Scaled so that the quotient has 64 bits or more; the remainder becomes a sticky bit.
  const auto shift = static_cast<int64_t>(y.bits()) - static_cast<int64_t>(x.bits()) + 66;
  BigInt quotient, remainder;
  if (shift >= 0)
    BigInt::divide(x.shifted_left(static_cast<size_t>(shift)), y, quotient, remainder);
  else
    BigInt::divide(x, y.shifted_left(static_cast<size_t>(-shift)), quotient, remainder);
  if (!remainder.is_zero() && !quotient.is_odd()) quotient = quotient + BigInt(int64_t{1});
  const double magnitude = std::ldexp(quotient.real(), static_cast<int>(-shift));
  if (std::isinf(magnitude)) fail_value("integer division result too large for a float");
  return negative ? -magnitude : magnitude;
}

// Division goes bit by bit.
void pay_for_division(Heap& heap, size_t bits, size_t limbs) { heap.work(bits * (limbs + 1) / 16); }

Value divide_integers(Heap& heap, const Value& a, const Value& b) {
  constexpr int64_t kExact = int64_t{1} << 53;
  const auto small = [](const Value& v) {
    return !v.is(Kind::big_integer) && v.integer() <= kExact && v.integer() >= -kExact;
  };
  if (small(a) && small(b)) return Value(static_cast<double>(a.integer()) / static_cast<double>(b.integer()));
  const BigInt x = to_big(a), y = to_big(b);
  pay_for_division(heap, std::max(x.bits(), y.bits()) + 66, std::max(x.limbs(), y.limbs()));
  return Value(true_quotient(x, y));
}

Value integer_power(Heap& heap, const Value& a, const Value& b) {
  const BigInt base = to_big(a);
  const int64_t exponent = to_index(b);
  if (exponent < 0) {
    if (base.is_zero()) fail_value("0.0 cannot be raised to a negative power");
    return Value(std::pow(to_real(a), to_real(b)));
  }
  if (base.bits() > 1 && exponent > static_cast<int64_t>(BigInt::kMaxBits))
    fail_value("an integer exceeds 4300 digits");
  if (base.bits() <= 1) {  // 0, 1 or -1
    if (exponent == 0) return Value(int64_t{1});
    return Value(base.is_negative() && exponent % 2 == 0 ? int64_t{1} : *base.int64());
  }
  const size_t limbs = std::min(base.bits() * static_cast<size_t>(exponent), 2 * BigInt::kMaxBits) / 32;
  heap.work(limbs * limbs / 16);
  return make_integer(heap, BigInt::power(base, static_cast<uint64_t>(exponent)));
}

Value calculate_integers(Heap& heap, BinaryOp op, const Value& a, const Value& b) {
  const bool small = !a.is(Kind::big_integer) && !b.is(Kind::big_integer);
  const bool zero = !b.is(Kind::big_integer) && b.integer() == 0;
  int64_t out;
  switch (op) {
    case BinaryOp::add:
      if (small && !__builtin_add_overflow(a.integer(), b.integer(), &out)) return Value(out);
      return make_integer(heap, to_big(a) + to_big(b));
    case BinaryOp::subtract:
      if (small && !__builtin_sub_overflow(a.integer(), b.integer(), &out)) return Value(out);
      return make_integer(heap, to_big(a) - to_big(b));
    case BinaryOp::multiply:
      if (small && !__builtin_mul_overflow(a.integer(), b.integer(), &out)) return Value(out);
      if (!small) heap.work(to_big(a).limbs() * to_big(b).limbs() / 64);
      return make_integer(heap, to_big(a) * to_big(b));
    case BinaryOp::divide:
      if (zero) division_by_zero(op, false);
      return divide_integers(heap, a, b);
    case BinaryOp::floor_divide:
    case BinaryOp::modulo: {
      if (zero) division_by_zero(op, false);
      if (small && b.integer() != -1) {
        int64_t quotient = a.integer() / b.integer(), rest = a.integer() % b.integer();
        if (rest != 0 && (rest < 0) != (b.integer() < 0)) --quotient, rest += b.integer();
        return Value(op == BinaryOp::modulo ? rest : quotient);
      }
      const BigInt x = to_big(a), y = to_big(b);
      pay_for_division(heap, x.bits(), y.limbs());
      BigInt quotient, rest;
      BigInt::divide(x, y, quotient, rest);
      return make_integer(heap, op == BinaryOp::modulo ? rest : quotient);
    }
    case BinaryOp::power:
      return integer_power(heap, a, b);
  }
  return Value::none();
}

double real_power(double a, double b) {
  if (a == 0 && b < 0) fail_value("0.0 cannot be raised to a negative power");
  if (a < 0 && std::isfinite(a) && std::isfinite(b) && b != std::trunc(b)) {
    fail_value("a negative number to a fractional power is complex, which templates do not have here");
  }
  const double out = std::pow(a, b);
  if (std::isinf(out) && std::isfinite(a) && std::isfinite(b)) fail_value("(34, 'Numerical result out of range')");
  return out;
}

double real_remainder(double a, double b) {
  double rest = std::fmod(a, b);
  if (rest == 0) return std::copysign(0.0, b);
  if ((b < 0) != (rest < 0)) rest += b;
  return rest;
}

double real_floor_quotient(double a, double b) {
  const double rest = std::fmod(a, b);
  double quotient = (a - rest) / b;
  if (rest != 0 && (b < 0) != (rest < 0)) quotient -= 1;
  if (quotient == 0) return std::copysign(0.0, a / b);
  const double floor = std::floor(quotient);
  return quotient - floor > 0.5 ? floor + 1 : floor;
}

Value calculate_reals(BinaryOp op, double a, double b) {
  if (b == 0 && (op == BinaryOp::divide || op == BinaryOp::floor_divide || op == BinaryOp::modulo)) {
    division_by_zero(op, true);
  }
  switch (op) {
    case BinaryOp::add:
      return Value(a + b);
    case BinaryOp::subtract:
      return Value(a - b);
    case BinaryOp::multiply:
      return Value(a * b);
    case BinaryOp::divide:
      return Value(a / b);
    case BinaryOp::floor_divide:
      return Value(real_floor_quotient(a, b));
    case BinaryOp::modulo:
      return Value(real_remainder(a, b));
    case BinaryOp::power:
      return Value(real_power(a, b));
  }
  return Value::none();
}

// To a multiple of 10^digits, halves to even.
BigInt round_to_tens(const BigInt& value, bool has_fraction, uint64_t digits) {
  if (digits > 4299) return BigInt();  // no integer is larger
  const BigInt unit = BigInt::power(BigInt(int64_t{10}), digits);
  BigInt quotient, rest;
  BigInt::divide(value, unit, quotient, rest);
  const BigInt twice = rest + rest;
  const bool up = unit < twice || (twice == unit && (has_fraction || quotient.is_odd()));
  if (up) quotient = quotient + BigInt(int64_t{1});
  return quotient * unit;
}

}  // namespace

std::partial_ordering compare_numbers(const Value& a, const Value& b) {
  const bool big = a.is(Kind::big_integer) || b.is(Kind::big_integer);
  if (a.is(Kind::real) && b.is(Kind::real)) return a.real() <=> b.real();
  if (a.is(Kind::real)) return 0 <=> compare_integer_real(b, a.real());
  if (b.is(Kind::real)) return compare_integer_real(a, b.real());
  if (!big) return a.integer() <=> b.integer();
  return compare_big(to_big(a), to_big(b));
}

Value calculate(Heap& heap, BinaryOp op, const Value& a, const Value& b) {
  if (a.is(Kind::real) || b.is(Kind::real)) return calculate_reals(op, to_real(a), to_real(b));
  return calculate_integers(heap, op, a, b);
}

Value negate(Heap& heap, const Value& a) {
  if (a.is(Kind::real)) return Value(-a.real());
  if (a.is_integral()) return make_integer(heap, -to_big(a));
  if (a.is(Kind::undefined)) a.as<Undefined>().raise();
  fail_value("bad operand type for unary -: '" + std::string(type_name(a)) + "'");
}

Value positive(const Value& a) {
  if (a.is(Kind::boolean)) return Value(a.integer());
  if (a.is_number()) return a;
  if (a.is(Kind::undefined)) a.as<Undefined>().raise();
  fail_value("bad operand type for unary +: '" + std::string(type_name(a)) + "'");
}

Value round_number(Heap& heap, const Value& value, int64_t digits) {
  if (value.is_integral()) {
    if (digits >= 0) return positive(value);
    const BigInt big = to_big(value);
    pay_for_division(heap, big.bits() + 4300, std::min<size_t>(0 - static_cast<uint64_t>(digits), 4300) / 9);
    const BigInt rounded = round_to_tens(big.is_negative() ? -big : big, false, 0 - static_cast<uint64_t>(digits));
    return make_integer(heap, big.is_negative() ? -rounded : rounded);
  }
  const double d = to_real(value);
  if (!std::isfinite(d) || digits > 323) return Value(d);
  if (digits >= 0) {
    // printf rounds the exact value, halves to even, as Python does.
    char text[800];
    std::snprintf(text, sizeof(text), "%.*f", static_cast<int>(digits), d);
    return Value(std::strtod(text, nullptr));
  }
  if (digits < -308) return Value(std::copysign(0.0, d));
  const double whole = std::trunc(std::fabs(d));
  const BigInt rounded = round_to_tens(BigInt::truncate(whole), whole != std::fabs(d), static_cast<uint64_t>(-digits));
  const double out = rounded.real();
  if (std::isinf(out)) fail_value("rounded value too large to represent");
  return Value(std::copysign(out, d));
}

}  // namespace nemotron::jinja
