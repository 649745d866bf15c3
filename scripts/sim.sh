#!/usr/bin/env bash
# Fresh seeds of every simulator, on all cores, until N are done or one fails.
#   scripts/sim.sh [--seeds N] [--jobs J] [--from SEED] [--build DIR] [--keep-going]
# Of N seeds 60 in 100 go to sim_ensemble, 29 to sim_log, 10 to sim_stack, 1 to the control plane. A failure
# prints its seed and the command that repeats it; --keep-going runs the others all the same.
set -uo pipefail
cd "$(dirname "$0")/.."
seeds=1000 jobs=$(nproc) from= build=build/dev keep_going=
while [ $# -gt 0 ]; do
  case $1 in
    --seeds) seeds=$2; shift 2 ;;
    --jobs) jobs=$2; shift 2 ;;
    --from) from=$2; shift 2 ;;
    --build) build=$2; shift 2 ;;
    --keep-going) keep_going=1; shift ;;
    *) sed -n '2,6p' "$0"; exit 2 ;;
  esac
done
[ -n "$from" ] || from=$(($(date +%s) * 100000))
work=$(mktemp -d "${TMPDIR:-/tmp}/sim.XXXXXX")
trap 'rm -rf "$work"' EXIT
began=$SECONDS

# One line a task: program, flag of the first seed, first seed, count.
tasks() {
  local name=$1 share=$2 slice=$3 at=$from left=$((seeds * $2 / 100))
  while [ "$left" -gt 0 ]; do
    local count=$((left < slice ? left : slice))
    echo "$name $at $count"
    at=$((at + count)) left=$((left - count))
  done
}
{
  tasks sim_ensemble 60 500
  tasks sim_log 29 200
  tasks sim_stack 10 100
  tasks control_plane 1 20
} | shuf --random-source=<(yes "$from") > "$work/tasks"

run_task() {
  local name=$1 first=$2 count=$3 out status
  [ -z "${keep_going}" ] && [ -e "$work/failed" ] && exit 0
  case $name in
    sim_ensemble) set -- "$build/test/sim/ensemble/sim_ensemble" --seed "$first" --seeds "$count" ;;
    sim_log) set -- "$build/test/sim/log/sim_log" --first "$first" --seeds "$count" ;;
    sim_stack) set -- "$build/test/sim/stack/sim_stack" --seed "$first" --seeds "$count" ;;
    control_plane) set -- env OTTLA_SEED="$first" OTTLA_SEEDS="$count" \
      "$build/test/sim/control_plane/test_sim_control_plane" ;;
  esac
  out=$(nice -n 19 timeout 3600 "$@" 2>&1)
  status=$?
  if [ $status -ne 0 ]; then
    printf '%s\n' "$name from $first, $count seeds, status $status:" "$out" >> "$work/failed"
    printf '%s\n' "FAILED $name (from $first)" "$out" >&2
    [ -n "${keep_going}" ] || exit 255  # xargs starts no more
    exit 0
  fi
  echo "$name $count" >> "$work/done"
}
export -f run_task
export build work keep_going
xargs -P "$jobs" -L 1 bash -c 'run_task "$@"' run_task < "$work/tasks" 2>&1 | grep -v '^xargs: ' &
pid=$!
total=$(awk '{s += $3} END {print s + 0}' "$work/tasks")
count() { awk -v want="$1" 'want == "" || $1 == want {s += $2} END {print s + 0}' "$work/done" 2>/dev/null || echo 0; }
shown=0
while kill -0 "$pid" 2>/dev/null; do
  sleep 1
  if [ $((SECONDS - began)) -ge $((shown + 15)) ]; then
    shown=$((SECONDS - began))
    echo "$(count "") of $total seeds, ${shown} s"
  fi
done
wait "$pid"
touch "$work/done"
echo "$(count "") of $total seeds from $from in $((SECONDS - began)) s: sim_ensemble $(count sim_ensemble)," \
  "sim_log $(count sim_log), sim_stack $(count sim_stack), control plane $(count control_plane);" \
  "commit $(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
[ ! -e "$work/failed" ]
