// Memory that is freed together, aligned to cache lines and filled with 0.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "report.h"

class Memory {
 public:
  Memory() = default;
  Memory(const Memory &) = delete;
  Memory &operator=(const Memory &) = delete;
  ~Memory() {
    while (blocks_) {
      Block *next = blocks_->next;
      free(blocks_);
      blocks_ = next;
    }
  }

  // 64 bytes lie behind every array, which whole registers may read. Null where there is no memory.
  template <class T>
  T *take(uint64_t n) {
    const uint64_t bytes = n * sizeof(T) + sizeof(Block) + 3 * 64;
    if (n > (uint64_t)1 << 40 || bytes > SIZE_MAX / 2) return nullptr;
    Block *block = (Block *)calloc(1, (size_t)bytes);
    if (!block) return nullptr;
    block->next = blocks_;
    blocks_ = block;
    return (T *)(((uintptr_t)(block + 1) + 63) / 64 * 64);
  }

 private:
  struct Block {
    Block *next;
  };
  Block *blocks_ = nullptr;
};
