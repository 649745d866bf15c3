#!/usr/bin/env bash
# ZooKeeper's own shell: [-server HOST:PORT[/PATH]] [-timeout MS] [-r] [command]; localhost:2181 without -server.
server=localhost:2181
options=()
while [ $# -gt 0 ]; do
  case "$1" in
    -server) server=$2; shift 2 ;;
    -timeout) options+=("$1" "$2"); shift 2 ;;
    -r|-waitforconnection) options+=("$1"); shift ;;
    *) break ;;
  esac
done
exec "$(dirname "$0")/ottla" zookeeper-shell "$server" "${options[@]}" "$@"
