#!/usr/bin/env bash
# From a bare clone to real records: installs packages, builds, starts an ensemble of one and a
# broker in one process, sends a file of thousands of lines through kcat and reads it back.
#   scripts/quickstart.sh          leaves the stack running
#   scripts/quickstart.sh --stop   stops it
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
data=${OTTLA_QUICKSTART_DATA:-$root/data/quickstart}
port=${OTTLA_QUICKSTART_PORT:-9092}
zk_port=${OTTLA_QUICKSTART_ZK_PORT:-2181}
metrics_port=${OTTLA_QUICKSTART_METRICS_PORT:-9404}
topic=quickstart
pid_file=$data/ottla.pid

# Is the process an ottla that has not ended? (One that ended but was not waited for still has a pid.)
alive() { grep -qs '^Name:.ottla$' "/proc/$1/status" && ! grep -qs '^State:.[ZX]' "/proc/$1/status"; }
running() { [ -f "$pid_file" ] && alive "$(cat "$pid_file")"; }

case "${1:-}" in
  "") ;;
  --stop)
    if running; then
      pid=$(cat "$pid_file")
      kill "$pid"
      while alive "$pid"; do sleep 0.05; done
      rm -f "$pid_file"
      echo "quickstart: stopped (pid $pid)"
    else
      echo "quickstart: not running"
    fi
    exit 0 ;;
  -h|--help) sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 0 ;;
  *) echo "quickstart.sh: unknown argument $1 (try --help)" >&2; exit 2 ;;
esac

scripts/setup.sh
scripts/build.sh release

mkdir -p "$data"
if ! running; then
  dist/bin/ottla standalone --data-dir "$data" --port "$port" --zookeeper-port "$zk_port" \
    --metrics-port "$metrics_port" --ready-file "$data/ready" > "$data/ottla.log" 2>&1 &
  pid=$!
  echo "$pid" > "$pid_file"
  # --ready-file appears when records are accepted; a start that fails ends the process instead.
  while [ ! -f "$data/ready" ]; do
    kill -0 "$pid" 2>/dev/null && ! grep -qs '^State:.[ZX]' "/proc/$pid/status" || { echo "quickstart: the server did not start:" >&2; tail -n 5 "$data/ottla.log" >&2; exit 1; }
    sleep 0.01
  done
fi

sent=$data/sent.txt
received=$data/received.txt
# A file that every checkout has, repeated: more than 5,000 lines, numbered so that order shows.
for _ in $(seq 30); do cat LICENSE; done | nl -ba > "$sent"
lines=$(wc -l < "$sent")

dist/bin/kafka-topics.sh --bootstrap-server "localhost:$port" --delete --if-exists --topic "$topic" >/dev/null
dist/bin/kafka-topics.sh --bootstrap-server "localhost:$port" --create --topic "$topic" --partitions 1 --replication-factor 1
kcat -q -P -b "localhost:$port" -t "$topic" -p 0 -z lz4 -X acks=all -l "$sent"
kcat -q -C -b "localhost:$port" -t "$topic" -p 0 -o beginning -e -u > "$received"
cmp "$sent" "$received"

cat <<MSG
quickstart: $lines lines went through topic "$topic" and came back the same, byte for byte.

  broker     localhost:$port          try: dist/bin/kafka-topics.sh --bootstrap-server localhost:$port --describe
  ensemble   localhost:$zk_port          try: dist/bin/zookeeper-shell.sh localhost:$zk_port ls /brokers
  data       $data
  log        $data/ottla.log
  metrics    http://localhost:$metrics_port/metrics
  stop       scripts/quickstart.sh --stop
MSG
