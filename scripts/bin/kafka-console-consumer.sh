#!/usr/bin/env bash
# `ottla console-consumer` under the name it has in Apache Kafka.
exec "$(dirname "$0")/ottla" console-consumer "$@"
