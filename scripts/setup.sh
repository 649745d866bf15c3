#!/usr/bin/env bash
# Installs what Ottla is built, run and tested with, from Debian 12's packages alone.
#   scripts/setup.sh            what the build and the quickstart need
#   scripts/setup.sh --tests    also the clients and peers of the test suite
#   scripts/setup.sh --coverage also the tools of scripts/coverage.sh
#   scripts/setup.sh --runtime  only what a finished dist/ runs with
#   scripts/setup.sh --print    only says what would be installed
set -euo pipefail
cd "$(dirname "$0")/.."

build=(
  clang-19 libclang-rt-19-dev mold ccache cmake ninja-build pkg-config git   # compiler and build tools
  libboost1.81-dev                      # sockets, timers, option parsing
  libspdlog-dev libfmt-dev              # logging
  catch2 libbenchmark-dev               # unit tests, micro benchmarks
  liblz4-dev libsnappy-dev libzstd-dev zlib1g-dev   # record compression, checksums
  libssl-dev                            # digests
  nlohmann-json3-dev                    # znodes, admin answers
  librdkafka-dev libzookeeper-mt-dev    # clients inside the command line tools
)
quickstart=(kcat)
tests=(python3 python3-kafka python3-confluent-kafka python3-lz4 python3-snappy python3-kazoo zookeeper zookeeper-bin procps)
coverage=(llvm-19)                      # llvm-profdata-19, llvm-cov-19

runtime=(libspdlog1.10 libfmt9 liblz4-1 libsnappy1v5 libzstd1 zlib1g libssl3 librdkafka1 libzookeeper-mt2 libstdc++6)

wanted=("${build[@]}" "${quickstart[@]}")
print=
for arg in "$@"; do
  case "$arg" in
    --tests) wanted+=("${tests[@]}") ;;
    --coverage) wanted+=("${coverage[@]}") ;;
    --runtime) wanted=("${runtime[@]}") ;;
    --print) print=1 ;;
    -h|--help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "setup.sh: unknown argument $arg (try --help)" >&2; exit 2 ;;
  esac
done

if [ -r /etc/os-release ] && ! grep -q '^VERSION_ID="12"' /etc/os-release; then
  echo "setup.sh: made for Debian 12; on another system install the packages named in this script by hand" >&2
fi
missing=()
for package in "${wanted[@]}"; do
  dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "setup: all ${#wanted[@]} packages are installed"
  exit 0
fi
echo "setup: installing from Debian: ${missing[*]}"
[ -n "$print" ] && exit 0
sudo=
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "setup.sh: run as root, or install sudo" >&2; exit 1; }
  sudo=sudo
fi
$sudo apt-get update -qq
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
echo "setup: done"
