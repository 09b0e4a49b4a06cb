// Weights in blocks of columns, a few inputs of a column side by side: what dot products of bytes take.
#pragma once

#include "kernel.h"
#include "lanes.h"

#if !defined(POTSTILL_GROUP)
#define POTSTILL_GROUP 4
#endif
#if !defined(POTSTILL_PACK_BLOCKS)
#define POTSTILL_PACK_BLOCKS TILE_BLOCKS
#endif

namespace {

size_t packed_size(int n_in, int n_out) { return (size_t)padded(n_in) * padded(n_out); }

// [in][out] → [block of columns][group of inputs][column][GROUP]; what is beyond the edges stays 0.
void pack(const int8_t *weight, int n_in, int n_out, int8_t *packed) {
  constexpr int WIDE = POTSTILL_PACK_BLOCKS * 16, GROUP = POTSTILL_GROUP;
  const int depth = padded(n_in);
  for (int column = 0; column < n_out; column += WIDE) {
    int8_t *block = packed + (size_t)column * depth;
    const int n = n_out - column < WIDE ? n_out - column : WIDE;
    for (int k = 0; k < n_in; k += GROUP, block += WIDE * GROUP) {
      const int8_t *from = weight + (size_t)k * n_out + column;
      if (n == WIDE && k + GROUP <= n_in) {
        for (int c = 0; c < WIDE; c++)
          for (int i = 0; i < GROUP; i++) block[c * GROUP + i] = from[c + i * (size_t)n_out];
        continue;
      }
      for (int i = 0; i < GROUP && k + i < n_in; i++)
        for (int c = 0; c < n; c++) block[c * GROUP + i] = from[c + i * (size_t)n_out];
    }
  }
}

}  // namespace
