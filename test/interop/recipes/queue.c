// queue HOSTS LOG put COUNT | take: a queue of persistent sequential nodes under /queue. put: P
// number pid-i, once acknowledged. take: T pid number pid-i, once deleted, until the item "end" is
// the first (left for the others).
#include "recipe.h"

static void put(zhandle_t* zh, int count) {
  for (int i = 0; i < count; ++i) {
    char data[64], node[128];
    snprintf(data, sizeof data, "%d-%d", (int)getpid(), i);
    int rc = zoo_create(zh, "/queue/qn-", data, (int)strlen(data), &ZOO_OPEN_ACL_UNSAFE,
                        ZOO_SEQUENCE, node, sizeof node);
    if (rc != ZOK) die("put", rc);
    say("P %s %s\n", number_of(node), data);
  }
}

// 1 if an item was taken, 0 if there was none to take, -1 at the end.
static int take_first(zhandle_t* zh) {
  struct String_vector names = children_of(zh, "/queue", 1, by_number);
  int result = 0;
  for (int i = 0; i < names.count && result == 0; ++i) {
    char path[128], data[64];
    snprintf(path, sizeof path, "/queue/%s", names.data[i]);
    int size = sizeof data - 1;
    int rc = zoo_get(zh, path, 0, data, &size, NULL);
    if (rc == ZNONODE) continue;
    if (rc != ZOK) die("get", rc);
    data[size > 0 ? size : 0] = '\0';
    if (strcmp(data, "end") == 0) {
      result = -1;
      break;
    }
    rc = zoo_delete(zh, path, -1);
    if (rc == ZNONODE) continue;  // another was faster
    if (rc != ZOK) die("delete", rc);
    say("T %d %s %s\n", (int)getpid(), number_of(path), data);
    result = 1;
  }
  deallocate_String_vector(&names);
  return result;
}

int main(int argc, char** argv) {
  if (argc < 4) return 1;
  zhandle_t* zh = open_session(argv[1], argv[2]);
  make(zh, "/queue", "", 0);
  if (strcmp(argv[3], "put") == 0) {
    put(zh, atoi(argv[4]));
  } else {
    for (;;) {
      unsigned since = mark();
      int taken = take_first(zh);
      if (taken < 0) break;
      if (taken == 0) wait_change(since);
    }
  }
  return zookeeper_close(zh) == ZOK ? 0 : 2;
}
