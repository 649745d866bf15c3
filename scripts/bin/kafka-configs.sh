#!/usr/bin/env bash
# `ottla configs` under the name it has in Apache Kafka.
exec "$(dirname "$0")/ottla" configs "$@"
