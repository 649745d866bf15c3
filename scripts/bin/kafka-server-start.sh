#!/usr/bin/env bash
# Starts a broker: [-daemon] server.properties [--override property=value]*
# -daemon: in the background, output in $LOG_DIR/kafkaServer.out (LOG_DIR: logs beside bin, unless set).
if [ $# -lt 1 ]; then
  echo "USAGE: $0 [-daemon] server.properties [--override property=value]*"
  exit 1
fi
case " ${KAFKA_OPTS:-}" in
  *" -D"*) echo "$0: KAFKA_OPTS is ignored: this is no Java; settings stand in server.properties or --override" >&2 ;;
esac
bin=$(cd "$(dirname "$0")" && pwd)
if [ "$1" = -daemon ]; then
  shift
  log_dir=${LOG_DIR:-$bin/../logs}
  mkdir -p "$log_dir"
  nohup "$bin/ottla" broker "$@" > "$log_dir/kafkaServer.out" 2>&1 < /dev/null &
  exit 0
fi
exec "$bin/ottla" broker "$@"
