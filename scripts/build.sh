#!/usr/bin/env bash
# Builds one preset; `release` is also installed into dist/, `asan` and `tsan` into build/PRESET/dist.
#   scripts/build.sh [release|dev|asan|tsan|coverage|fuzz] [target...]
set -euo pipefail
cd "$(dirname "$0")/.."
preset=${1:-release}
shift || true
# The first configuration of a preset; later ones are ninja's business.
[ -f "build/$preset/build.ninja" ] || cmake --preset "$preset" >/dev/null
if [ $# -gt 0 ]; then
  exec cmake --build "build/$preset" --target "$@"
fi
cmake --build "build/$preset"
if [ "$preset" = release ]; then
  cmake --install "build/$preset" >/dev/null
  echo "build: dist/bin/ottla"
elif [ "$preset" = asan ] || [ "$preset" = tsan ]; then
  cmake --install "build/$preset" --prefix "build/$preset/dist" >/dev/null
  echo "build: build/$preset/dist/bin/ottla"
fi
