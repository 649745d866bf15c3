#!/usr/bin/env bash
# `ottla zookeeper-shell` under the name it has in Apache Kafka.
if [ $# -lt 1 ]; then
  echo "USAGE: $0 zookeeper_host:port[/path] [-zk-tls-config-file file] [args...]"
  exit 1
fi
exec "$(dirname "$0")/ottla" zookeeper-shell "$@"
