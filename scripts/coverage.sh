#!/usr/bin/env bash
# Which lines of the cores and codecs the tests run: clang's source-based coverage of unit tests and simulations.
#   scripts/coverage.sh                  builds, runs, prints a table; 1 when a core is below 90 percent of its lines
#   scripts/coverage.sh --lines [ROOM]   also every line that nothing ran
#   scripts/coverage.sh --no-run         prints from the last run
#   scripts/coverage.sh -R REGEX ...     runs only such tests (ctest's own arguments), and fails for none of the figures
# Needs scripts/setup.sh --coverage. The first build takes about 20 minutes on 2 cores.
set -euo pipefail
cd "$(dirname "$0")/.."

wanted=90
# Of the rooms in coverage_rooms.txt these files do not count: tests, programs, what tests share (test_*.h,
# memory_zk: an ensemble in memory), and what wiregen writes for tests and tools alone (walk, debug).
not_counted='_(test|main|fuzz|bench)\.cc$|/test_[^/]*\.h$|/memory_zk\.|/messages_(debug|walk)_|/walk\.h$'
mapfile -t cores < <(sed -nE 's/^([a-z][^ ]*).*/\1/p' scripts/coverage_rooms.txt)
cores+=(gen/proto/zookeeper gen/proto/kafka)  # what wiregen writes, in the build tree

lines= run=1 room= ctest_args=()
while [ $# -gt 0 ]; do
  case $1 in
    --lines) lines=1; case ${2:-} in ''|-*) ;; *) room=${2%/}; shift ;; esac ;;
    --no-run) run= ;;
    -h|--help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) ctest_args+=("$1") ;;
  esac
  shift
done

build=build/coverage
profiles=$build/profiles
mapfile -t tests < <(
  [ -f $build/build.ninja ] || cmake --preset coverage >/dev/null
  ninja -C $build -t targets all | sed -nE 's/^((test|sim)_[a-z_]+): phony$/\1/p' | grep -vE '^test_(tidy|tools)$')
if [ -n "$run" ]; then
  # wiregen runs while it is built: its own profile is of no use.
  LLVM_PROFILE_FILE=/dev/null cmake --build $build --target "${tests[@]}"
  rm -rf $profiles && mkdir -p $profiles
  # %m: one file a program; runs of it add up, also side by side.
  LLVM_PROFILE_FILE=$PWD/$profiles/%m.profraw ctest --test-dir $build -j 2 --output-on-failure --no-tests=error \
    -L 'unit|sim' -LE slow -E '^(tidy|tools)$' "${ctest_args[@]}"
  llvm-profdata-19 merge -sparse -o $build/merged.profdata $profiles/*.profraw
fi

objects=()
for name in "${tests[@]}"; do
  # The one that ninja makes: an older layout may have left another of this name.
  program=$(ninja -C $build -t query "$name" | sed -n '/^  input: phony/{n;s/^ *//p}')
  objects+=(-object "$build/$program")
done
llvm-cov-19 export -format=lcov -instr-profile $build/merged.profdata "${objects[@]:1}" \
  -ignore-filename-regex "^/usr/|$not_counted" > $build/lines.lcov

awk -v root="$PWD/" -v gen="$PWD/$build/gen/" -v cores="${cores[*]}" -v wanted=$wanted -v show="$lines" -v room="$room" \
  -v judge="$((${#ctest_args[@]} == 0))" '
  # "12 13 14 20" as "12-14 20"
  function ranges(list,  n, all, i, from, out) {
    n = split(list, all, " ")
    for (i = 1; i <= n; i++) {
      from = all[i]
      while (i < n && all[i + 1] == all[i] + 1) i++
      out = out " " from (all[i] > from ? "-" all[i] : "")
    }
    return out
  }
  function percent(hit, all) { return all == 0 ? 0 : 100 * hit / all }
  BEGIN { n = split(cores, core, " ") }
  /^SF:/ {
    file = substr($0, 4)
    if (index(file, gen) == 1) file = "gen/" substr(file, length(gen) + 1)
    else if (index(file, root) == 1) file = substr(file, length(root) + 1)
    where = file; sub("/[^/]*$", "", where); missed = ""
  }
  /^DA:/ {
    split(substr($0, 4), at, ",")
    all[where]++
    if (at[2] > 0) hit[where]++; else missed = missed " " at[1]
  }
  /^end_of_record/ {
    if (show && missed != "" && (room == "" || index(file, room) == 1)) {
      print file ":" ranges(missed); any = 1
    }
  }
  END {
    if (any) print ""
    printf "%-22s %8s %8s %8s\n", "cores and codecs", "lines", "not run", "percent"
    for (i = 1; i <= n; i++) {
      name = core[i]; total += all[name]; run += hit[name]
      low = percent(hit[name], all[name]) < wanted
      failed = failed || low
      printf "%-22s %8d %8d %8.1f%s\n", name, all[name], all[name] - hit[name], percent(hit[name], all[name]), low ? "  below " wanted : ""
    }
    printf "%-22s %8d %8d %8.1f\n", "together", total, total - run, percent(run, total)
    exit judge && failed
  }' $build/lines.lcov
