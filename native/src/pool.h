// Threads that help a call: they spin for a moment where work may come, then sleep.
#pragma once

#include <atomic>

#include <stddef.h>
#include <stdint.h>

// Helpers of one call. A call that gets none works alone; none is waited for.
class Helpers {
 public:
  // At most `wanted` of those that are idle now.
  explicit Helpers(int wanted);
  ~Helpers();
  int n() const { return n_; }
  // work(job, part) for part 0 in this thread and 1 … n() in the helpers; returns when all have ended.
  void run(void (*work)(void *job, int part), void *job);

 private:
  static constexpr int MOST = 255;
  struct Helper *helpers_[MOST];
  int n_ = 0;
};

// Where the parts of one job meet.
class Barrier {
 public:
  explicit Barrier(int parts) : parts_(parts) {}
  void wait();

 private:
  const int parts_;
  std::atomic<int> arrived_{0};
  std::atomic<int> round_{0};
};

// Guards the pool and the models' lists of workspaces; held for a few instructions at a time.
void lock_pool();
void unlock_pool();
