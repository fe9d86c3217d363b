#!/bin/bash
# Fuzzes each target for a while under AddressSanitizer and UndefinedBehaviorSanitizer: fuzz/run.sh [SECONDS] [NAME...].
# 600 seconds and every target without arguments. Exits with 1 on a finding, which stays under build/fuzz/findings/.
set -eu
cd "$(dirname "$0")/.."
seconds=600
case ${1-} in [0-9]*) seconds=$1; shift ;; esac
if [ $# = 0 ]; then
  for file in fuzz/*.cc; do
    name=$(basename "$file" .cc)
    [ "$name" = replay ] || set -- "$@" "$name"
  done
fi
for name in "$@"; do
  [ -f "fuzz/$name.cc" ] || { echo "fuzz/run.sh: there is no target fuzz/$name.cc" >&2; exit 2; }
done

./setup fuzz
cmake --preset fuzz > /dev/null
cmake --build build/fuzz --parallel "$(nproc)" --target "${@/#/fuzz_}" -- --quiet

findings=build/fuzz/findings
found=0
for name in "$@"; do
  corpus=$(mktemp -d)
  trap 'rm -rf "$corpus"' EXIT
  mkdir -p "$findings/$name"
  known=()
  for folder in "fuzz/seeds/$name" "fuzz/regressions/$name"; do
    if [ -d "$folder" ]; then known+=("$folder"); fi
  done
  # An input that takes ten seconds or two gigabytes is a finding too: time and memory are bounded.
  if "build/fuzz/fuzz/fuzz_$name" "$corpus" "${known[@]}" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
       -artifact_prefix="$findings/$name/" -print_final_stats=1 > "$findings/$name.log" 2>&1; then
    echo "$name: clean, $(sed -n 's/stat::number_of_executed_units: *//p' "$findings/$name.log") inputs in $seconds s"
  else
    found=1
    echo "$name: FINDING; the report ends in $findings/$name.log, the input is one of"
    find "$findings/$name" -type f
    echo "  Mend it, and move the input into fuzz/regressions/$name/ under a name that says what it was."
  fi
  rm -rf "$corpus"
done
exit $found
