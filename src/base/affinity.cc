// Affinity over Linux's CPU masks and the topology in /sys.

#include "base/affinity.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <fstream>
#include <optional>
#include <set>
#include <string_view>

#include "base/error.h"

namespace nemotron {
namespace {

// Of a thread that is bound, the CPUs it had before.
thread_local std::optional<cpu_set_t> before_bound;

std::optional<cpu_set_t> own_mask() {
  if (before_bound) return before_bound;
  cpu_set_t mask;
  CPU_ZERO(&mask);
  if (sched_getaffinity(0, sizeof mask, &mask) != 0) return {};
  return mask;
}

// "0-3,8-11"; consecutive CPUs as a range.
std::string list_text(const std::vector<int>& cpus) {
  std::string out;
  for (size_t i = 0; i < cpus.size();) {
    size_t last = i;
    while (last + 1 < cpus.size() && cpus[last + 1] == cpus[last] + 1) ++last;
    out += fmt::format("{}{}", out.empty() ? "" : ",", cpus[i]);
    if (last > i) out += fmt::format("-{}", cpus[last]);
    i = last + 1;
  }
  return out;
}

[[noreturn]] void refuse(const char* what, const std::string& found, const std::string& expected) {
  throw Error({.what = what, .where = "--affinity", .expected = expected, .found = found});
}

// -1: it is no number of a CPU.
int cpu_number(std::string_view digits) {
  int value = 0;
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  const bool whole = result.ec == std::errc() && result.ptr == digits.data() + digits.size();
  return whole && value >= 0 && !digits.starts_with('-') ? value : -1;
}

}  // namespace

std::vector<int> allowed_cpus() {
  std::vector<int> out;
  const std::optional<cpu_set_t> mask = own_mask();
  for (int cpu = 0; mask && cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &*mask)) out.push_back(cpu);
  return out;
}

std::vector<int> first_cpus_of_cores() {
  std::vector<int> out;
  std::set<std::string> cores;  // hyper-threads of one core list the same siblings
  for (const int cpu : allowed_cpus()) {
    std::ifstream file(fmt::format("/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list", cpu));
    std::string siblings;
    if (!std::getline(file, siblings)) siblings = fmt::format("cpu {}", cpu);
    if (cores.insert(siblings).second) out.push_back(cpu);
  }
  return out;
}

std::vector<int> parse_affinity(const std::string& text) {
  if (text.empty() || text == "none") return {};
  if (text == "cores") return first_cpus_of_cores();
  const std::vector<int> allowed = allowed_cpus();
  const std::set<int> known(allowed.begin(), allowed.end());
  std::set<int> seen;
  std::vector<int> out;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    const std::string_view part = std::string_view(text).substr(at, end - at);
    const size_t dash = part.find('-');
    const int first = cpu_number(part.substr(0, dash)),
              last = dash == part.npos ? first : cpu_number(part.substr(dash + 1));
    if (first < 0 || last < first)
      refuse("bad list of CPUs", printable(text, 60), "numbers and ranges such as 0-3,8, or cores, or none");
    for (int cpu = first;; ++cpu) {
      if (!known.count(cpu))
        refuse("no such CPU, or not one for this process", std::to_string(cpu), "some of " + list_text(allowed));
      if (!seen.insert(cpu).second) refuse("a CPU is named twice", std::to_string(cpu), "each at most once");
      out.push_back(cpu);
      if (cpu == last) break;
    }
    at = end + 1;
  }
  return out;
}

void bind_thread(pthread_t thread, int cpu) {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  CPU_SET(cpu, &mask);
  const int error = pthread_setaffinity_np(thread, sizeof mask, &mask);
  if (error != 0) refuse("a thread cannot be bound to its CPU", fmt::format("{}: {}", cpu, std::strerror(error)), "");
}

void release_thread(pthread_t thread) {
  if (before_bound) pthread_setaffinity_np(thread, sizeof *before_bound, &*before_bound);
}

BoundCaller::BoundCaller(int cpu) : thread_(pthread_self()), outermost_(!before_bound) {
  CPU_ZERO(&before_);
  const int error = pthread_getaffinity_np(thread_, sizeof before_, &before_);
  if (error != 0) refuse("the CPUs of this thread are not known", std::strerror(error), "");
  bind_thread(thread_, cpu);
  if (outermost_) before_bound = before_;
}

BoundCaller::~BoundCaller() {
  if (!pthread_equal(thread_, pthread_self())) return;  // the thread may be gone
  pthread_setaffinity_np(thread_, sizeof before_, &before_);
  if (outermost_) before_bound.reset();
}

}  // namespace nemotron
