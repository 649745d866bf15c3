#!/usr/bin/env bash
# Builds one preset; with `release` also installs it into dist/.
#   scripts/build.sh [release|dev|asan|tsan|fuzz] [target...]
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
fi
