#!/bin/bash
# Runs clang-tidy over the program's sources, or over the given files: tools/tidy.sh [FILE...].
set -eu
cd "$(dirname "$0")/.."
./setup develop
cmake --preset dev -D CMAKE_EXPORT_COMPILE_COMMANDS=ON > /dev/null
[ $# -gt 0 ] || mapfile -t files < <(find src -name '*.cc' ! -path 'src/ops/cpu/*' | sort)
[ $# = 0 ] || files=("$@")
printf '%s\n' "${files[@]}" | xargs -P "$(nproc)" -n 1 clang-tidy -p build/dev --quiet --extra-arg=-Wno-unknown-warning-option
