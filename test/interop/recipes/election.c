// election HOSTS LOG: stands for election until SIGTERM. Log: C pid, stands; A pid number, leads; R
// pid number, about to resign.
#include <signal.h>

#include "recipe.h"

int main(int argc, char** argv) {
  if (argc != 3) return 1;
  sigset_t term;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &term,
                  NULL);  // the client's threads inherit it: the leader asks for it
  zhandle_t* zh = open_session(argv[1], argv[2]);
  make(zh, "/election", "", 0);
  char id[64], mine[128];
  snprintf(id, sizeof id, "n-%llx-", (unsigned long long)zoo_client_id(zh)->client_id);
  say("C %d\n", (int)getpid());
  wait_for_turn(zh, "/election", id, mine, sizeof mine);
  say("A %d %s\n", (int)getpid(), number_of(mine));
  int signal_number;
  sigwait(&term, &signal_number);
  say("R %d %s\n", (int)getpid(), number_of(mine));
  drop(zh, mine);
  return zookeeper_close(zh) == ZOK ? 0 : 2;
}
