// lock HOSTS LOG ROUNDS HOLD_MS: takes the lock ROUNDS times and counts the node /counter up while
// it holds it, by a read and a write that only exclusion keeps from losing a count. Log: A pid
// number, taken; I pid, counted; R pid number, about to release.
#include "recipe.h"

static void count_up(zhandle_t* zh, int round) {
  char data[64], wanted[64];
  for (;;) {
    int size = sizeof data - 1;
    int rc = zoo_get(zh, "/counter", 0, data, &size, NULL);
    if (lost(zh, rc)) continue;
    if (rc != ZOK) die("get", rc);
    data[size > 0 ? size : 0] = '\0';
    snprintf(wanted, sizeof wanted, " %d-%d", (int)getpid(), round);
    if (strstr(data, wanted) != NULL) return;  // the write whose answer was lost
    snprintf(wanted, sizeof wanted, "%d %d-%d", atoi(data) + 1, (int)getpid(), round);
    rc = zoo_set(zh, "/counter", wanted, (int)strlen(wanted), -1);
    if (rc == ZOK) return;
    if (!lost(zh, rc)) die("set", rc);
  }
}

int main(int argc, char** argv) {
  if (argc != 5) return 1;
  zhandle_t* zh = open_session(argv[1], argv[2]);
  make(zh, "/lock", "", 0);
  make(zh, "/counter", "0", 0);
  for (int round = 0; round < atoi(argv[3]); ++round) {
    char id[64], mine[128];
    snprintf(id, sizeof id, "x-%llx-%d-", (unsigned long long)zoo_client_id(zh)->client_id, round);
    wait_for_turn(zh, "/lock", id, mine, sizeof mine);
    say("A %d %s\n", (int)getpid(), number_of(mine));
    count_up(zh, round);
    say("I %d\n", (int)getpid());
    usleep((useconds_t)atoi(argv[4]) * 1000);
    say("R %d %s\n", (int)getpid(), number_of(mine));
    drop(zh, mine);
  }
  return zookeeper_close(zh) == ZOK ? 0 : 2;
}
