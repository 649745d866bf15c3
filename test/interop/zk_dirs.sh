#!/bin/bash
# Data directories both ways: Apache's tools read our logs and snapshots, Apache's server starts on our
# directory, ours on Apache's, and back, and the tree is the same each time.
#
#   OTTLA_PEERS_LIB=DIR   the jars of Apache ZooKeeper 3.8 or 3.9 (default build/peers, where other tests fetch them through Maven)
#   OTTLA_ZK_SERVER=CMD   what runs our server on a zoo.cfg (default dist/bin/ottla zookeeper)
#   OTTLA_TEST_PORT=N     first of two ports to use (default 23990)
# Exit: 0 passed, 77 cannot be run here, else failed.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
lib=${OTTLA_PEERS_LIB:-$root/build/peers}
server=${OTTLA_ZK_SERVER:-$root/dist/bin/ottla zookeeper}
port=${OTTLA_TEST_PORT:-23990}
ls "$lib"/zookeeper-[0-9]*.jar >/dev/null 2>&1 || { echo "skipped: no ZooKeeper jars in $lib (set OTTLA_PEERS_LIB)"; exit 77; }
command -v java >/dev/null || { echo "skipped: java is not installed"; exit 77; }
[ -x "${server%% *}" ] || { echo "skipped: ${server%% *} is not built (scripts/build.sh release)"; exit 77; }

work=$(mktemp -d /tmp/zk_dirs.XXXXXX)
pid=
finish() { [ -n "$pid" ] && kill -9 "$pid" 2>/dev/null; [ -n "${KEEP:-}" ] || rm -rf "$work"; }
trap finish EXIT
die() { echo "failed: $*"; tail -n 20 "$work"/*.log; exit 1; }
apache() { (exec java -Xmx256m -XX:TieredStopAtLevel=1 -cp "$lib/*" "$@"); }

config() {  # NAME: snapshots and rolls happen often
  mkdir -p "$work/$1"
  printf 'tickTime=2000\ndataDir=%s\nclientPort=%d\nsnapCount=20\npreAllocSize=64\nadmin.enableServer=false\n4lw.commands.whitelist=*\n' \
    "$work/$1" "$port" > "$work/$1.cfg"
}
ready() {
  for _ in $(seq 200); do
    # Bounded: a server that is just starting may take a word and never answer it.
    (exec 3<>"/dev/tcp/127.0.0.1/$port" && printf srvr >&3 && timeout 5 grep -q Mode <&3) 2>/dev/null && return
    kill -0 "$pid" 2>/dev/null || die "$1 ended"
    sleep 0.1
  done
  die "$1 does not serve"
}
# With exec, so that the pid is the server's own.
start_ours() { (exec $server "$work/$1.cfg") >> "$work/ours.log" 2>&1 & pid=$!; ready ours; }
start_apache() { (exec java -Xmx256m -XX:TieredStopAtLevel=1 -cp "$lib/*" org.apache.zookeeper.server.quorum.QuorumPeerMain "$work/$1.cfg") >> "$work/apache.log" 2>&1 & pid=$!; ready Apache; }
stop() { kill -0 "$pid" || die "the server ended by itself"; kill -"$1" "$pid"; wait "$pid" 2>/dev/null; pid=; }
cli() { apache org.apache.zookeeper.ZooKeeperMain -waitforconnection -server "127.0.0.1:$port" 2>"$work/cli.err"; }

load() {  # TAG: persistent, sequential, ephemeral, ACL, deletes, versions; enough for several snapshots
  {
    echo "create /$1 root"
    for i in $(seq 30); do echo "create /$1/n$i data$i"; done
    for i in $(seq 1 2 30); do echo "set /$1/n$i changed$i"; done
    for i in $(seq 5 5 30); do echo "delete /$1/n$i"; done
    echo "create -s /$1/seq- s"; echo "create -e /$1/eph e"
    echo "create /$1/acl a ip:127.0.0.1:cdrwa"; echo "setAcl /$1/n1 world:anyone:r"
    echo "create /$1/n1 again"; echo "create -s /$1/seq- s"; echo quit
  } | cli > "$work/load.out" || die "load $1"
}
znodes() {  # what the server itself counts; "" and "/" are one node to the shell
  exec 3<>"/dev/tcp/127.0.0.1/$port"; printf mntr >&3
  echo $(($(timeout 5 sed -n 's/^zk_znode_count[[:space:]]*//p' <&3) - 1)); exec 3>&-
}
tree() {  # every node, its data and stat; again when the shell lost its connection or its machine on the way
  for _ in 1 2 3; do
    { echo "ls -R /"; echo quit; } | cli | grep '^/' | sort > "$work/names"
    { while read -r n; do echo "get -s $n"; echo "getAcl $n"; done < "$work/names"; echo quit; } | cli |
      grep -vE 'JLine|WATCHER|WatchedEvent|Welcome|^$|Log4j|log4j' > "$work/$1.tree"
    [ "$(wc -l < "$work/names")" = "$(znodes)" ] &&
      [ "$(grep -c '^cZxid' "$work/$1.tree")" = "$(wc -l < "$work/names")" ] && return
    echo "the shell read $(wc -l < "$work/names") names and $(grep -c '^cZxid' "$work/$1.tree") nodes of $(znodes): once more"
  done
  cat "$work/cli.err"; die "the tree of $1 cannot be read"
}
same() { diff "$work/$1.tree" "$work/$2.tree" > "$work/diff.log" || die "$1 and $2 differ"; }
mismatches() {
  exec 3<>"/dev/tcp/127.0.0.1/$port"; printf mntr >&3
  timeout 5 grep -E '^zk_digest_mismatches_count' <&3 | grep -qE '[[:space:]]0$' || die "$1: the tree's digest went wrong"
  exec 3>&-
}
tools() {  # Apache's own readers over every file
  for f in "$work/$1"/version-2/log.*; do
    apache org.apache.zookeeper.server.persistence.TxnLogToolkit -d "$f" > "$work/tool.log" 2>&1 || die "TxnLogToolkit $f"
    grep -q 'CRC ERROR' "$work/tool.log" && die "CRC of $f"
  done
  for f in "$work/$1"/version-2/snapshot.*; do
    apache org.apache.zookeeper.server.SnapshotFormatter "$f" > "$work/tool.log" 2>&1 || die "SnapshotFormatter $f"
  done
}

config ours
start_ours ours; load one; tree a1; stop 9
tools ours; echo "Apache's tools read our $(ls "$work"/ours/version-2 | wc -l) files"
start_apache ours; tree a2; same a1 a2; load two; tree a3; mismatches Apache; stop 9
echo "Apache's server started on our directory"
start_ours ours; tree a4; same a3 a4; mismatches ours; load three; tree a5; stop TERM
start_apache ours; tree a6; same a5 a6; mismatches Apache; stop TERM
echo "and back, twice"

config theirs
start_apache theirs; load one; tree b1; stop 9
start_ours theirs; tree b2; same b1 b2; load two; tree b3; mismatches ours; stop 9
echo "our server started on Apache's directory"
start_apache theirs; tree b4; same b3 b4; mismatches Apache; stop TERM
tools theirs
echo "passed"
