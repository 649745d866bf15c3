// librdkafka's threads and locks are C11's, which ThreadSanitizer does not know: in its build (and
// no other) they are pthread's, as they are inside of glibc. Without this a callback on such a
// thread ends the program. Source: LLVM's documentation of ThreadSanitizer; glibc's nptl, where
// mtx_t and cnd_t are the pthread types.
#include <pthread.h>
#include <threads.h>

#include <cerrno>
#include <memory>

namespace {

struct Begin {
  thrd_start_t run;
  void* with;
};

void* begin(void* given) {
  std::unique_ptr<Begin> what(static_cast<Begin*>(given));
  return reinterpret_cast<void*>(static_cast<intptr_t>(what->run(what->with)));
}

pthread_mutex_t* of(mtx_t* lock) { return reinterpret_cast<pthread_mutex_t*>(lock); }
pthread_cond_t* of(cnd_t* condition) { return reinterpret_cast<pthread_cond_t*>(condition); }
static_assert(sizeof(mtx_t) == sizeof(pthread_mutex_t) && sizeof(cnd_t) == sizeof(pthread_cond_t));

int answer(int error) {
  return error == 0 ? thrd_success : error == ETIMEDOUT ? thrd_timedout : thrd_error;
}

}  // namespace

extern "C" {

int thrd_create(thrd_t* thread, thrd_start_t run, void* with) {
  auto what = std::make_unique<Begin>(run, with);
  int error = ::pthread_create(thread, nullptr, begin, what.get());
  if (error == 0) (void)what.release();
  return answer(error);
}
int thrd_join(thrd_t thread, int* result) {
  void* got = nullptr;
  int error = ::pthread_join(thread, &got);
  if (result != nullptr) *result = static_cast<int>(reinterpret_cast<intptr_t>(got));
  return answer(error);
}

int mtx_init(mtx_t* lock, int type) {
  pthread_mutexattr_t kind;
  ::pthread_mutexattr_init(&kind);
  if ((type & mtx_recursive) != 0) ::pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_RECURSIVE);
  return answer(::pthread_mutex_init(of(lock), &kind));
}
int mtx_lock(mtx_t* lock) { return answer(::pthread_mutex_lock(of(lock))); }
int mtx_unlock(mtx_t* lock) { return answer(::pthread_mutex_unlock(of(lock))); }
void mtx_destroy(mtx_t* lock) { ::pthread_mutex_destroy(of(lock)); }

int cnd_init(cnd_t* condition) { return answer(::pthread_cond_init(of(condition), nullptr)); }
int cnd_signal(cnd_t* condition) { return answer(::pthread_cond_signal(of(condition))); }
int cnd_broadcast(cnd_t* condition) { return answer(::pthread_cond_broadcast(of(condition))); }
int cnd_wait(cnd_t* condition, mtx_t* lock) {
  return answer(::pthread_cond_wait(of(condition), of(lock)));
}
int cnd_timedwait(cnd_t* condition, mtx_t* lock, const timespec* until) {
  return answer(::pthread_cond_timedwait(of(condition), of(lock), until));
}
void cnd_destroy(cnd_t* condition) { ::pthread_cond_destroy(of(condition)); }
}
