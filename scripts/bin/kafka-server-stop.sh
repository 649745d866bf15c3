#!/usr/bin/env bash
# Asks this user's brokers on this machine to end; SIGNAL chooses another signal than TERM.
exec "$(dirname "$0")/ottla-stop.sh" broker kafka
