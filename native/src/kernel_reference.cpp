// The reference: plain C++, by which every other kernel is judged.
#define POTSTILL_SCALAR
#include "kernel.h"
#include "lanes.h"

namespace {

constexpr int TILE_ROWS = 1;
constexpr int TILE_BLOCKS = 1;
constexpr bool SIGNED = false;

template <int ROWS>
INLINE void dot_bytes(const uint8_t *a, size_t stride, const int8_t *b, int depth,
                      Ints (&sums)[ROWS][TILE_BLOCKS]) {
  for (int r = 0; r < ROWS; r++)
    for (int c = 0; c < LANES; c++) {
      uint32_t total = 0;
      for (int k = 0; k < depth; k++)
        total += (uint32_t)(a[r * stride + k] * b[(k / 4 * LANES + c) * 4 + k % 4]);
      sums[r][0].r[c] = (int32_t)total;
    }
}

template <int ROWS, int COLUMNS>
INLINE void dot_shorts(const int16_t *a, size_t a_stride, const int16_t *b, size_t b_stride, int pairs,
                       Ints (&sums)[ROWS][COLUMNS]) {
  for (int r = 0; r < ROWS; r++)
    for (int c = 0; c < COLUMNS; c++)
      for (int lane = 0; lane < LANES; lane++) {
        uint32_t total = 0;
        for (int k = 0; k < pairs * 2; k++)
          total += (uint32_t)(a[r * a_stride + k] * b[c * b_stride + k / 2 * 32 + lane * 2 + k % 2]);
        sums[r][c].r[lane] = (int32_t)total;
      }
}

}  // namespace

#include "pack.h"
#include "rows.h"

POTSTILL_KERNEL(kernel_reference, "reference")
