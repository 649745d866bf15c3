#!/usr/bin/env bash
# Starts an ensemble member: [-daemon] zookeeper.properties
# The -DKEY=VALUE words of KAFKA_OPTS are the server's, too.
# -daemon: in the background, output in $LOG_DIR/zookeeper.out (LOG_DIR: logs beside bin, unless set).
if [ $# -lt 1 ]; then
  echo "USAGE: $0 [-daemon] zookeeper.properties"
  exit 1
fi
flags=()
read -ra words <<< "$KAFKA_OPTS"
for word in "${words[@]}"; do
  case "$word" in -D*) flags+=("$word") ;; esac
done
bin=$(cd "$(dirname "$0")" && pwd)
if [ "$1" = -daemon ]; then
  shift
  log_dir=${LOG_DIR:-$bin/../logs}
  mkdir -p "$log_dir"
  nohup "$bin/ottla" zookeeper "${flags[@]}" "$@" > "$log_dir/zookeeper.out" 2>&1 < /dev/null &
  exit 0
fi
exec "$bin/ottla" zookeeper "${flags[@]}" "$@"
