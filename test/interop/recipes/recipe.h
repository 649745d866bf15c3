// What the recipes share: a session, a counter that watches move, a place in a line of ephemeral
// sequential nodes, and the log that all processes append to and the test reads. For
// libzookeeper_mt's synchronous calls. A lost connection is waited out, an expired session ends the
// process with 3. Source: ZooKeeper recipes and solutions; zookeeper.h.
#pragma once

#ifndef THREADED
#define THREADED
#endif
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zookeeper/zookeeper.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned changes;
static int log_fd = -1;

static inline void die(const char* what, int rc) {
  fprintf(stderr, "%d: %s: %s\n", (int)getpid(), what, zerror(rc));
  _exit(2);
}

// Every watch, and what happens to the session.
static void on_event(zhandle_t* zh, int type, int state, const char* path, void* context) {
  (void)zh, (void)path, (void)context;
  if (type == ZOO_SESSION_EVENT && state == ZOO_EXPIRED_SESSION_STATE) _exit(3);
  pthread_mutex_lock(&mutex);
  ++changes;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&mutex);
}

static inline unsigned mark(void) {
  pthread_mutex_lock(&mutex);
  unsigned now = changes;
  pthread_mutex_unlock(&mutex);
  return now;
}

static inline void wait_change(unsigned since) {
  pthread_mutex_lock(&mutex);
  while (changes == since) pthread_cond_wait(&changed, &mutex);
  pthread_mutex_unlock(&mutex);
}

// One line in the common log; a line is one write.
static inline void say(const char* format, ...) {
  char line[256];
  va_list arguments;
  va_start(arguments, format);
  int size = vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  if (write(log_fd, line, (size_t)size) != size) die("log", ZSYSTEMERROR);
}

static inline zhandle_t* open_session(const char* hosts, const char* log) {
  log_fd = open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  zoo_set_debug_level(0);  // a server that is away is no news
  zhandle_t* zh = zookeeper_init(hosts, on_event, 2000, NULL, NULL, 0);
  if (zh == NULL || log_fd < 0) die("start", ZSYSTEMERROR);
  for (;;) {
    unsigned since = mark();
    if (zoo_state(zh) == ZOO_CONNECTED_STATE) return zh;
    wait_change(since);
  }
}

// True when the call is to be made again: its answer was lost, and the connection is back.
static inline int lost(zhandle_t* zh, int rc) {
  if (rc != ZCONNECTIONLOSS && rc != ZOPERATIONTIMEOUT) return 0;
  for (;;) {
    unsigned since = mark();
    if (zoo_state(zh) == ZOO_CONNECTED_STATE) return 1;
    wait_change(since);
  }
}

static inline void make(zhandle_t* zh, const char* path, const char* data, int flags) {
  int rc;
  do rc = zoo_create(zh, path, data, (int)strlen(data), &ZOO_OPEN_ACL_UNSAFE, flags, NULL, 0);
  while (lost(zh, rc));
  if (rc != ZOK && rc != ZNODEEXISTS) die(path, rc);
}

static inline void drop(zhandle_t* zh, const char* path) {
  int rc;
  do rc = zoo_delete(zh, path, -1);
  while (lost(zh, rc));
  if (rc != ZOK && rc != ZNONODE) die(path, rc);
}

static inline int by_number(const void* a, const void* b) {
  const char *x = *(char* const*)a, *y = *(char* const*)b;
  return strcmp(x + strlen(x) - 10, y + strlen(y) - 10);  // ten digits
}

static inline int by_name(const void* a, const void* b) {
  return strcmp(*(char* const*)a, *(char* const*)b);
}

// To be freed with deallocate_String_vector. watched: a change calls on_event.
static inline struct String_vector children_of(zhandle_t* zh, const char* path, int watched,
                                               int (*order)(const void*, const void*)) {
  struct String_vector names;
  int rc;
  do rc = zoo_wget_children(zh, path, watched ? on_event : NULL, NULL, &names);
  while (lost(zh, rc));
  if (rc != ZOK) die(path, rc);
  qsort(names.data, (size_t)names.count, sizeof *names.data, order);
  return names;
}

// True if the node was there; then its change calls on_event.
static inline int watch_node(zhandle_t* zh, const char* path) {
  int rc;
  do rc = zoo_wexists(zh, path, on_event, NULL, NULL);
  while (lost(zh, rc));
  if (rc != ZOK && rc != ZNONODE) die(path, rc);
  return rc == ZOK;
}

// Takes a place in the line under `line` and returns when nobody is before it; `mine` is the node.
// Who is next is told of the one before alone. `id` is in the node's name, so that a create whose
// answer was lost is found again.
static inline void wait_for_turn(zhandle_t* zh, const char* line, const char* id, char* mine,
                                 size_t size) {
  char path[256];
  for (;;) {
    unsigned since = mark();
    struct String_vector names = children_of(zh, line, 0, by_number);
    int at = 0;
    while (at < names.count && strncmp(names.data[at], id, strlen(id)) != 0) ++at;
    int found = at < names.count, first = found && at == 0;
    if (found) {
      snprintf(mine, size, "%s/%s", line, names.data[at]);
      if (!first) snprintf(path, sizeof path, "%s/%s", line, names.data[at - 1]);
    }
    deallocate_String_vector(&names);
    if (first) return;
    if (!found) {
      snprintf(path, sizeof path, "%s/%s", line, id);
      int rc =
          zoo_create(zh, path, "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL | ZOO_SEQUENCE, NULL, 0);
      if (rc != ZOK && !lost(zh, rc)) die(path, rc);
    } else if (watch_node(zh, path)) {
      wait_change(since);
    }
  }
}

static inline const char* number_of(const char* node) { return node + strlen(node) - 10; }
