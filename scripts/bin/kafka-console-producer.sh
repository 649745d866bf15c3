#!/usr/bin/env bash
# `ottla console-producer` under the name it has in Apache Kafka.
exec "$(dirname "$0")/ottla" console-producer "$@"
