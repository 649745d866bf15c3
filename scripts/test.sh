#!/usr/bin/env bash
# The whole suite from a bare clone: set-up, build, unit tests, simulation, real clients.
#   scripts/test.sh            what CI runs (about 15 minutes on 2 cores the first time)
#   scripts/test.sh --full     also the sanitizer builds, long simulations, fuzzing and coverage
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
# Two at a time: many tests wait rather than compute. Those that measure time run alone.
ctest --test-dir build/dev -j 2 --output-on-failure --no-tests=error "${exclude[@]}" "${args[@]}"
if [ -n "$full" ]; then
  # Everything again with sanitizers: a report of any process fails the test that started it. Of the long forms those in
  # which much happens at once; not the streams to two servers in lock step at full length.
  for preset in asan tsan; do
    scripts/build.sh "$preset"
    ctest --test-dir "build/$preset" -j 2 --output-on-failure --no-tests=error -LE slow
    ctest --test-dir "build/$preset" --output-on-failure --no-tests=error -L slow -E '_differential.*_full$|_soak$'
  done
  build/dev/test/sim/ensemble/sim_ensemble --seeds 2000
  build/dev/test/sim/log/sim_log --seeds 2000
  fuzzers=(kafka_message jute_record kafka_broker zk_server zk_session zk_txn zk_log zk_snapshot files/record_set
    files/broker_log files/properties)
  names=("${fuzzers[@]#files/}")
  scripts/build.sh fuzz "${names[@]/#/fuzz_}"
  for fuzzer in "${fuzzers[@]}"; do
    name=${fuzzer#files/}
    corpus=build/fuzz/corpus/$name
    mkdir -p "$corpus"
    [ -d "test/fuzz/corpus/$name" ] && cp test/fuzz/corpus/"$name"/* "$corpus"
    leaks=1  # after each input; of a whole server that takes most of the time: once, at its end
    case $name in kafka_broker|zk_server) leaks=0 ;; esac
    "build/fuzz/test/fuzz/${fuzzer/%$name/fuzz_$name}" -max_total_time=60 -rss_limit_mb=2048 -detect_leaks=$leaks \
      -artifact_prefix=build/fuzz/ "$corpus"
  done
  scripts/setup.sh --coverage
  scripts/coverage.sh
fi
