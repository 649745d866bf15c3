#!/usr/bin/env bash
# Asks this user's brokers on this machine to end: [--node-id=N], only those with that broker.id or node.id.
# SIGNAL chooses another signal than TERM.
node_id=
for argument in "$@"; do
  case "$argument" in
    --node-id=?*) node_id=${argument#*=} ;;
    *)
      echo "Cannot honour $argument, nothing is stopped. USAGE: $0 [--node-id=N]" >&2
      exit 1 ;;
  esac
done
exec "$(dirname "$0")/ottla-stop.sh" broker kafka "$node_id"
