#!/usr/bin/env bash
# Ends the `ottla COMMAND` processes of this user; what kafka-server-stop.sh and
# zookeeper-server-stop.sh share.  ottla-stop.sh COMMAND NAME   (SIGNAL: TERM unless set)
command=$1
name=$2
pids=()
for dir in /proc/[0-9]*; do
  [ -O "$dir" ] || continue
  { mapfile -d '' -t argv < "$dir/cmdline"; } 2>/dev/null || continue
  [ "${argv[0]##*/}" = ottla ] && [ "${argv[1]:-}" = "$command" ] && pids+=("${dir#/proc/}")
done
if [ ${#pids[@]} -eq 0 ]; then
  echo "No $name server to stop"
  exit 1
fi
kill -s "${SIGNAL:-TERM}" "${pids[@]}"
