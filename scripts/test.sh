#!/usr/bin/env bash
# The whole suite from a bare clone: set-up, build, unit tests, simulation, real clients.
#   scripts/test.sh            what CI runs (about 15 minutes on 2 cores the first time)
#   scripts/test.sh --full     also the sanitizer builds, long simulations and fuzzing
#   scripts/test.sh -L unit    passes ctest's own arguments on
set -euo pipefail
cd "$(dirname "$0")/.."
full=
args=()
for arg in "$@"; do
  case "$arg" in
    --full) full=1 ;;
    -h|--help) sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) args+=("$arg") ;;
  esac
done
scripts/setup.sh --tests
scripts/build.sh release
scripts/build.sh dev
exclude=(-LE slow)
[ -n "$full" ] && exclude=()
ctest --test-dir build/dev --output-on-failure --no-tests=error "${exclude[@]}" "${args[@]}"
if [ -n "$full" ]; then
  for preset in asan tsan; do
    scripts/build.sh "$preset"
    ctest --test-dir "build/$preset" --output-on-failure -L 'unit|sim' -LE slow
  done
fi
