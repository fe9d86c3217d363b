// Numbers to text, always with as many digits as mean something.

#include "plan/figures.h"

#include <fmt/format.h>

#include <cmath>

namespace nemotron {
namespace {

// Three digits: "1.23", "12.3", "123".
std::string three(double n) {
  const double size = std::abs(n);
  return fmt::format("{:.{}f}", n, size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2);
}

}  // namespace

std::string grouped(uint64_t n) {
  std::string digits = std::to_string(n);
  for (size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, 1, ',');
  return digits;
}

std::string in_billions(uint64_t n) {
  return n >= 100'000'000 ? fmt::format("{:.2f} B", double(n) / 1e9) : fmt::format("{:.2f} M", double(n) / 1e6);
}

std::string in_bytes(double bytes) {
  static constexpr const char* units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 65536) return fmt::format("{:.0f} B", bytes);
  int unit = -1;
  do bytes /= 1024, ++unit;
  while (bytes >= 1023.95 && unit < 5);
  return fmt::format("{:.1f} {}", bytes, units[unit]);
}

std::string in_units(double n, const char* unit) {
  static constexpr const char* prefixes[] = {"", "k", "M", "G", "T", "P", "E", "Z"};
  int prefix = 0;
  while (n >= 999.5 && prefix < 7) n /= 1000, ++prefix;
  return fmt::format("{} {}{}", three(n), prefixes[prefix], unit);
}

std::string in_seconds(double seconds) {
  if (seconds >= 7200) return fmt::format("{} h", three(seconds / 3600));
  if (seconds >= 120) return fmt::format("{} min", three(seconds / 60));
  if (seconds >= 1) return fmt::format("{} s", three(seconds));
  if (seconds >= 1e-3) return fmt::format("{} ms", three(seconds * 1e3));
  return fmt::format("{} us", three(seconds * 1e6));
}

std::string in_tokens(uint64_t n) {
  static constexpr const char* units[] = {"", "k", "M", "G", "T"};
  int unit = 0;
  while (n != 0 && n % 1024 == 0 && unit < 4) n /= 1024, ++unit;
  return grouped(n) + units[unit];
}

std::string plain_number(double n) {
  if (n >= 99.95) return grouped(uint64_t(std::llround(std::min(n, 9e18))));
  if (n >= 0.0995) return fmt::format("{:.{}f}", n, n >= 9.995 ? 1 : 2);
  return fmt::format("{:.2g}", n);
}

}  // namespace nemotron
