#!/usr/bin/env bash
# Ends the `ottla COMMAND` processes of this user; what kafka-server-stop.sh and
# zookeeper-server-stop.sh share.  ottla-stop.sh COMMAND NAME [NODE_ID]   (SIGNAL: TERM unless set)
command=$1
name=$2
node_id=${3:-}

# Whether the broker in /proc/$1 has the number: from its --override, else from its file.
has_node_id() {
  local file=${argv[2]:-} settings
  case "$file" in /*) ;; *) file=$(readlink "$1/cwd")/$file ;; esac
  settings=$({ cat "$file"; echo; printf '%s\n' "${argv[@]:3}"; } 2>/dev/null)
  [ "$(sed -nE 's/^(--override=)?[[:space:]]*(broker|node)\.id[[:space:]]*[=:][[:space:]]*([^[:space:]]*).*/\3/p' <<< "$settings" | tail -n 1)" = "$node_id" ]
}

pids=()
for dir in /proc/[0-9]*; do
  [ -O "$dir" ] || continue
  { mapfile -d '' -t argv < "$dir/cmdline"; } 2>/dev/null || continue
  [ "${argv[0]##*/}" = ottla ] && [ "${argv[1]:-}" = "$command" ] || continue
  [ -z "$node_id" ] || has_node_id "$dir" || continue
  pids+=("${dir#/proc/}")
done
if [ ${#pids[@]} -eq 0 ]; then
  echo "No $name server to stop"
  exit 1
fi
kill -s "${SIGNAL:-TERM}" "${pids[@]}"
