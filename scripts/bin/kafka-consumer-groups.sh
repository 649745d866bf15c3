#!/usr/bin/env bash
# `ottla consumer-groups` under the name it has in Apache Kafka.
exec "$(dirname "$0")/ottla" consumer-groups "$@"
