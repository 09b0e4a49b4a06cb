// AMX: tiles of 16 rows by 64 bytes; the rest of a matrix, and attention, by AVX-512 with VNNI.
//
// The sums are of integers, so they are exact whatever the order. With POTSTILL_EMULATE_AMX the tile
// instructions are plain loops, by which the rest of this file is tested where there is no such processor.
#include "avx512.h"

namespace {

constexpr int TILE_ROWS = 6;  // of what is left below 16 rows
constexpr int TILE_BLOCKS = 2;
constexpr bool SIGNED = false;
#define POTSTILL_PACK_BLOCKS 1  // a tile of weights is 16 columns

#if defined(POTSTILL_EMULATE_AMX)
thread_local uint8_t tiles[8][16][64];
#define TILE_ZERO(t) memset(tiles[t], 0, sizeof tiles[t])
#define TILE_LOAD(t, from, stride) \
  for (int r_ = 0; r_ < 16; r_++) memcpy(tiles[t][r_], (const uint8_t *)(from) + r_ * (size_t)(stride), 64)
#define TILE_STORE(t, to, stride) \
  for (int r_ = 0; r_ < 16; r_++) memcpy((uint8_t *)(to) + r_ * (size_t)(stride), tiles[t][r_], 64)
#define TILE_MULTIPLY(t, a, b) multiply_tiles(tiles[t], tiles[a], tiles[b])
void multiply_tiles(uint8_t (&sums)[16][64], const uint8_t (&a)[16][64], const uint8_t (&b)[16][64]) {
  for (int r = 0; r < 16; r++)
    for (int c = 0; c < 16; c++) {
      int32_t sum;
      memcpy(&sum, sums[r] + c * 4, 4);
      for (int k = 0; k < 64; k++) sum += a[r][k] * (int8_t)b[k / 4][c * 4 + k % 4];
      memcpy(sums[r] + c * 4, &sum, 4);
    }
}
INLINE void begin_tiles() {}
INLINE void end_tiles() {}
#else
#define TILE_ZERO(t) _tile_zero(t)
#define TILE_LOAD(t, from, stride) _tile_loadd(t, from, stride)
#define TILE_STORE(t, to, stride) _tile_stored(t, to, stride)
#define TILE_MULTIPLY(t, a, b) _tile_dpbusd(t, a, b)
INLINE void begin_tiles() {
  struct {
    uint8_t palette = 1, start = 0, reserved[14] = {0};
    uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
  } config;
  _tile_loadconfig(&config);
}
INLINE void end_tiles() { _tile_release(); }
#endif

template <int ROWS>
INLINE void dot_bytes(const uint8_t *a, size_t stride, const int8_t *b, int depth,
                      Ints (&sums)[ROWS][TILE_BLOCKS]) {
  if constexpr (ROWS < 16) {
    dot_vnni<ROWS, TILE_BLOCKS>(a, stride, b, (size_t)depth * 16, 64, depth, sums);
  } else {
    const int8_t *b0 = b, *b1 = b + (size_t)depth * 16;
    const size_t row = sizeof sums[0];
    TILE_ZERO(0);
    TILE_ZERO(1);
    if (ROWS == 32) {
      TILE_ZERO(2);
      TILE_ZERO(3);
    }
    for (int k = 0; k < depth; k += 64) {
      TILE_LOAD(4, a + k, stride);
      TILE_LOAD(6, b0 + k * 16, 64);
      TILE_MULTIPLY(0, 4, 6);
      TILE_LOAD(7, b1 + k * 16, 64);
      TILE_MULTIPLY(1, 4, 7);
      if (ROWS == 32) {
        TILE_LOAD(5, a + 16 * stride + k, stride);
        TILE_MULTIPLY(2, 5, 6);
        TILE_MULTIPLY(3, 5, 7);
      }
    }
    TILE_STORE(0, &sums[0][0], row);
    TILE_STORE(1, &sums[0][1], row);
    if (ROWS == 32) {
      TILE_STORE(2, &sums[16 % ROWS][0], row);
      TILE_STORE(3, &sums[16 % ROWS][1], row);
    }
  }
}

}  // namespace

#include "pack.h"
#define POTSTILL_MULTIPLY
#include "rows.h"

namespace {

template <After AFTER>
void multiply(const Linear &w, const Rounded &in, int rows, float *out, size_t stride) {
  begin_tiles();
  for (int column = 0; column < padded(w.n_out); column += TILE_BLOCKS * 16) {
    int row = 0;
    for (; row + 32 <= rows; row += 32) tile<32, AFTER>(w, in, row, column, out, stride);
    for (; row + 16 <= rows; row += 16) tile<16, AFTER>(w, in, row, column, out, stride);
    while (row < rows) {
      const int n = rows - row < TILE_ROWS ? rows - row : TILE_ROWS;
      Tiles<TILE_ROWS, AFTER>::run(n, w, in, row, column, out, stride);
      row += n;
    }
  }
  end_tiles();
}

}  // namespace

POTSTILL_KERNEL(kernel_amx, "amx")
