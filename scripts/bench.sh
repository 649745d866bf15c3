#!/usr/bin/env bash
# Measures ours against Apache's servers in one run with one client: test/bench/bench.py --help says how.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh --tests
scripts/build.sh release
cmake -S . -B build/release -DOTTLA_TESTS=ON >/dev/null
cmake --build build/release --target zk_load kafka_load
exec /usr/bin/python3 test/bench/bench.py "$@"
