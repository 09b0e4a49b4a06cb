#include "pool.h"

#if defined(POTSTILL_NO_THREADS)

Helpers::Helpers(int) {}
Helpers::~Helpers() {}
void Helpers::run(void (*work)(void *, int), void *job) { work(job, 0); }
void Barrier::wait() { (void)parts_; }
void lock_pool() {}
void unlock_pool() {}

#else

#include <condition_variable>
#include <mutex>
#include <new>
#include <thread>

#if !defined(_WIN32)
#include <pthread.h>
#endif

namespace {

enum State { IDLE, CLAIMED, WORKING, DONE };

// About 30 µs: as long as the gap between two questions of a loop, and less than a wake-up and back.
constexpr int SPINS = 2000;
constexpr int SPINS_BEFORE_YIELD = 4000;

inline void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("yield");
#endif
}

template <class Ready>
void spin_until(Ready ready) {
  for (int i = 0; !ready(); i++) {
    if (i < SPINS_BEFORE_YIELD)
      pause();
    else
      std::this_thread::yield();  // there are more threads than cores: let the others come
  }
}

}  // namespace

struct Helper {
  std::atomic<int> state{CLAIMED};
  std::atomic<bool> asleep{false};
  std::mutex mutex;
  std::condition_variable wake;
  void (*work)(void *, int) = nullptr;
  void *job = nullptr;
  int part = 0;

  void loop() {
    for (;;) {
      for (int i = 0; i < SPINS && state.load(std::memory_order_acquire) != WORKING; i++) pause();
      if (state.load(std::memory_order_acquire) != WORKING) {
        std::unique_lock<std::mutex> lock(mutex);
        asleep.store(true);
        wake.wait(lock, [&] { return state.load() == WORKING; });
        asleep.store(false);
      }
      work(job, part);
      state.store(DONE, std::memory_order_release);
    }
  }

  void start(void (*what)(void *, int), void *on, int number) {
    work = what;
    job = on;
    part = number;
    state.store(WORKING);
    if (asleep.load()) {
      std::lock_guard<std::mutex> lock(mutex);
      wake.notify_one();
    }
  }
};

namespace {

struct Pool {
  std::mutex mutex;
  Helper *helpers[255];
  int n = 0;
};

Pool *the_pool();

#if defined(_WIN32)
void at_fork() {}
#else
Pool *pool_after_fork(bool renew) {
  // Threads do not survive a fork: the child starts with none, and lets the parent's be.
  static Pool *pool = new Pool;
  if (renew) pool = new Pool;
  return pool;
}
void at_fork() {
  pthread_atfork([] { the_pool()->mutex.lock(); }, [] { the_pool()->mutex.unlock(); },
                 [] { pool_after_fork(true); });
}
#endif

Pool *the_pool() {
#if defined(_WIN32)
  static Pool *pool = new Pool;
  return pool;
#else
  return pool_after_fork(false);
#endif
}

// A thread more, or null where the system gives none.
Helper *new_helper() {
  Helper *helper = new (std::nothrow) Helper;
  if (!helper) return nullptr;
#if defined(_WIN32)
  std::thread([helper] { helper->loop(); }).detach();
#else
  pthread_t thread;
  const auto body = [](void *self) -> void * {
    ((Helper *)self)->loop();
    return nullptr;
  };
  if (pthread_create(&thread, nullptr, body, helper)) {
    delete helper;
    return nullptr;
  }
  pthread_detach(thread);
#endif
  return helper;
}

}  // namespace

void lock_pool() {
  static std::once_flag once;
  std::call_once(once, at_fork);
  the_pool()->mutex.lock();
}
void unlock_pool() { the_pool()->mutex.unlock(); }

Helpers::Helpers(int wanted) {
  wanted = wanted < MOST ? wanted : MOST;
  if (wanted < 1) return;
  lock_pool();
  Pool &pool = *the_pool();
  for (int i = 0; i < pool.n && n_ < wanted; i++) {
    int idle = IDLE;
    if (pool.helpers[i]->state.compare_exchange_strong(idle, CLAIMED)) helpers_[n_++] = pool.helpers[i];
  }
  while (n_ < wanted && pool.n < wanted) {  // so there are never more than one call may use
    Helper *helper = new_helper();
    if (!helper) break;
    pool.helpers[pool.n++] = helper;
    helpers_[n_++] = helper;
  }
  unlock_pool();
}

Helpers::~Helpers() {
  for (int i = 0; i < n_; i++) helpers_[i]->state.store(IDLE, std::memory_order_release);
}

void Helpers::run(void (*work)(void *, int), void *job) {
  for (int i = 0; i < n_; i++) helpers_[i]->start(work, job, i + 1);
  work(job, 0);
  for (int i = 0; i < n_; i++) {
    Helper &helper = *helpers_[i];
    spin_until([&] { return helper.state.load(std::memory_order_acquire) == DONE; });
    helper.state.store(CLAIMED, std::memory_order_relaxed);
  }
}

void Barrier::wait() {
  if (parts_ == 1) return;
  const int round = round_.load(std::memory_order_relaxed);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == parts_) {
    arrived_.store(0, std::memory_order_relaxed);
    round_.store(round + 1, std::memory_order_release);
    return;
  }
  spin_until([&] { return round_.load(std::memory_order_acquire) != round; });
}

#endif
