#!/bin/bash
# Runs the tests of the operations on NEON under an emulator, on a machine that has none: tools/neon.sh [NAME...], where
# a NAME is that of a file in tests/ops without _test.cc; all of them without arguments.
#
# Debian has no Highway for another processor beside this one's, but its headers and those of fmt and GoogleTest serve
# any; of Highway's library only the choice of a target is needed, and there is one target.
set -eu
cd "$(dirname "$0")/.."
./setup neon
out=build/neon
mkdir -p $out/include
for header in fmt gtest hwy simdjson.h; do ln -sfn "/usr/include/$header" $out/include/$header; done

cat > $out/targets.cc << 'CODE'
#include <hwy/targets.h>
namespace hwy {
static int64_t only = 0;
int64_t SupportedTargets() { return only ? only : HWY_NEON; }
void SetSupportedTargetsForTest(int64_t targets) {
  only = targets;
  GetChosenTarget().DeInit();
}
ChosenTarget& GetChosenTarget() {
  static ChosenTarget chosen;
  return chosen;
}
}  // namespace hwy
CODE

gtest=/usr/src/googletest/googletest
sources="$out/targets.cc $gtest/src/gtest-all.cc $gtest/src/gtest_main.cc src/tensor/*.cc src/ops/ops.cc src/ops/ref/*.cc
         src/ops/cpu/*.cc $(printf 'src/base/%s.cc ' affinity cgroup error threads utf8)"
[ $# -gt 0 ] || for test in tests/ops/*_test.cc; do set -- "$@" "$(basename "$test" _test.cc)"; done
for test in "$@"; do
  [ -f "tests/ops/${test}_test.cc" ] || { echo "tools/neon.sh: there is no tests/ops/${test}_test.cc" >&2; exit 2; }
done
tests=$(printf 'tests/ops/%s_test.cc ' "$@")

compile="aarch64-linux-gnu-g++ -std=c++20 -O2 -march=armv8-a+crypto -I$out/include -I$gtest -Isrc -Itests -I.
         -DFMT_HEADER_ONLY -DHWY_DISABLED_TARGETS=(HWY_SVE|HWY_SVE2|HWY_SVE_256|HWY_SVE2_128)"
object() { echo "$out/$(basename "${1%.cc}").o"; }
export -f object
export out compile
# shellcheck disable=SC2086  # lists of words
ls $sources $tests | xargs -P "$(nproc)" -I{} bash -c '$compile -c {} -o "$(object {})"'

failed=0
for test in "$@"; do
  # shellcheck disable=SC2046,SC2086
  aarch64-linux-gnu-g++ $(for file in $sources; do object $file; done) $out/${test}_test.o -o $out/$test -lpthread
  qemu-aarch64 -L /usr/aarch64-linux-gnu $out/$test --gtest_brief=1 || failed=1
done
exit $failed
