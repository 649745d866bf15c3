#!/usr/bin/env bash
# `ottla topics` under the name it has in Apache Kafka.
exec "$(dirname "$0")/ottla" topics "$@"
