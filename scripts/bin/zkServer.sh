#!/usr/bin/env bash
# ZooKeeper's start script: {start|start-foreground|stop|restart|status|version} [zoo.cfg]
# Without a file: $ZOOCFGDIR/zoo.cfg, or config/zoo.cfg beside bin. The process id is kept in dataDir.
# The -DKEY=VALUE words of SERVER_JVMFLAGS and JVMFLAGS are the server's, too.
bin=$(cd "$(dirname "$0")" && pwd)
config=${2:-${ZOOCFG:-zoo.cfg}}
case "$config" in
  /*) ;;
  *) [ -f "$config" ] || config=${ZOOCFGDIR:-$bin/../config}/$config ;;
esac
value() { sed -n "s/^[[:space:]]*$1[[:space:]]*=[[:space:]]*//p" "$config" | tail -n 1; }
data_dir=$(value dataDir 2>/dev/null)
pid_file=${ZOOPIDFILE:-$data_dir/zookeeper_server.pid}
flags=()
read -ra words <<< "$SERVER_JVMFLAGS $JVMFLAGS"
for word in "${words[@]}"; do
  case "$word" in -D*) flags+=("$word") ;; esac
done
running() { [ -f "$pid_file" ] && kill -0 "$(cat "$pid_file")" 2>/dev/null; }

case "${1:-}" in
  start)
    echo "Using config: $config" >&2
    printf 'Starting zookeeper ... '
    if running; then
      echo "already running as process $(cat "$pid_file")."
      exit 1
    fi
    if [ ! -f "$config" ] || [ -z "$data_dir" ]; then
      echo "FAILED TO START: $config: no such file, or no dataDir in it"
      exit 1
    fi
    log_dir=${ZOO_LOG_DIR:-$bin/../logs}
    mkdir -p "$data_dir" "$log_dir"
    nohup "$bin/ottla" zookeeper "${flags[@]}" "$config" > "$log_dir/zookeeper-$(id -un)-server-$(uname -n).out" 2>&1 < /dev/null &
    echo $! > "$pid_file"
    sleep 0.3
    if running; then echo STARTED; else echo FAILED TO START; exit 1; fi ;;
  start-foreground)
    echo "Using config: $config" >&2
    exec "$bin/ottla" zookeeper "${flags[@]}" "$config" ;;
  stop)
    echo "Using config: $config" >&2
    printf 'Stopping zookeeper ... '
    if [ ! -f "$pid_file" ]; then
      echo "no zookeeper to stop (could not find file $pid_file)"
      exit 0
    fi
    kill "$(cat "$pid_file")" 2>/dev/null
    while running; do sleep 0.05; done
    rm -f "$pid_file"
    echo STOPPED ;;
  restart)
    "$0" stop "$config"
    exec "$0" start "$config" ;;
  status)
    echo "Using config: $config" >&2
    port=$(value clientPort)
    address=$(value clientPortAddress)
    mode=$({ exec 3<>"/dev/tcp/${address:-localhost}/$port" && printf srvr >&3 && grep '^Mode' <&3; } 2>/dev/null)
    if [ -z "$mode" ]; then
      echo "Error contacting service. It is probably not running."
      exit 1
    fi
    echo "$mode" ;;
  version) exec "$bin/ottla" --version ;;
  *)
    echo "Usage: $0 {start|start-foreground|stop|version|restart|status} [zoo.cfg]" >&2
    exit 1 ;;
esac
