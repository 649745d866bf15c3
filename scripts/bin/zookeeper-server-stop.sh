#!/usr/bin/env bash
# Asks this user's ensemble members on this machine to end; SIGNAL chooses another signal than TERM.
exec "$(dirname "$0")/ottla-stop.sh" zookeeper zookeeper
