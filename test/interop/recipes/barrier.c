// barrier HOSTS LOG SIZE ROUNDS: waits until the node /gate is gone, then goes through ROUNDS
// double barriers of SIZE processes. Log, of round r: e pid r, about to enter; E pid r, in; l pid
// r, about to leave; L pid r, out.
#include "recipe.h"

static void wait_until_gone(zhandle_t* zh, const char* path) {
  for (;;) {
    unsigned since = mark();
    if (!watch_node(zh, path)) return;
    wait_change(since);
  }
}

static void enter(zhandle_t* zh, const char* barrier, const char* ready, const char* mine,
                  int size) {
  unsigned since = mark();
  int is_ready = watch_node(zh, ready);
  make(zh, mine, "", ZOO_EPHEMERAL);
  struct String_vector names = children_of(zh, barrier, 0, by_name);
  if (names.count >= size) make(zh, ready, "", 0);
  deallocate_String_vector(&names);
  while (!is_ready) {
    wait_change(since);
    since = mark();
    is_ready = watch_node(zh, ready);
  }
}

static void leave(zhandle_t* zh, const char* barrier, const char* mine) {
  char other[128];
  for (;;) {
    struct String_vector names = children_of(zh, barrier, 0, by_name);
    int count = names.count;
    const char* name = mine + strlen(barrier) + 1;
    int lowest = count > 0 && strcmp(names.data[0], name) == 0;
    if (count > 0)
      snprintf(other, sizeof other, "%s/%s", barrier, names.data[lowest ? count - 1 : 0]);
    deallocate_String_vector(&names);
    if (count == 0) return;
    if (!lowest || count == 1) drop(zh, mine);
    if (lowest && count == 1) return;
    wait_until_gone(
        zh, other);  // the lowest stays until the highest has gone, the others until the lowest has
  }
}

int main(int argc, char** argv) {
  if (argc != 5) return 1;
  zhandle_t* zh = open_session(argv[1], argv[2]);
  wait_until_gone(zh, "/gate");
  for (int round = 0; round < atoi(argv[4]); ++round) {
    char barrier[64], ready[64], mine[128];
    snprintf(barrier, sizeof barrier, "/barrier-%d", round);
    snprintf(ready, sizeof ready, "/ready-%d", round);
    snprintf(mine, sizeof mine, "%s/p%d", barrier, (int)getpid());
    make(zh, barrier, "", 0);
    say("e %d %d\n", (int)getpid(), round);
    enter(zh, barrier, ready, mine, atoi(argv[3]));
    say("E %d %d\n", (int)getpid(), round);
    usleep(1000 * (useconds_t)(getpid() % 7));
    say("l %d %d\n", (int)getpid(), round);
    leave(zh, barrier, mine);
    say("L %d %d\n", (int)getpid(), round);
  }
  return zookeeper_close(zh) == ZOK ? 0 : 2;
}
