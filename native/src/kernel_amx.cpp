// AMX: tiles of 16 rows by 64 bytes.
//
// The sums are of integers, so they are exact whatever the order. With POTSTILL_EMULATE_AMX the tile
// instructions are plain loops, by which the rest of this file is tested where there is no such processor.
#include <initializer_list>

#include "avx512.h"

namespace {

#define POTSTILL_PACK_BLOCKS 1  // a tile of weights is 16 columns

// What ldtilecfg reads.
struct alignas(64) Shapes {
  uint8_t palette = 1, start = 0, reserved[14] = {0};
  uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

#if defined(POTSTILL_EMULATE_AMX)
thread_local uint8_t tile_bytes[8][16][64];
thread_local Shapes tile_shapes;
INLINE void shape_tiles(const Shapes &wanted) {
  tile_shapes = wanted;
  memset(tile_bytes, 0, sizeof tile_bytes);
}
INLINE void end_tiles() {}
#define IN_MEMORY
#define TILE_ZERO(t) memset(tile_bytes[t], 0, sizeof tile_bytes[t])
#define TILE_LOAD(t, from, stride)           \
  for (int r_ = 0; r_ < tile_shapes.rows[t]; r_++) \
  memcpy(tile_bytes[t][r_], (const uint8_t *)(from) + r_ * (size_t)(stride), tile_shapes.bytes[t])
#define TILE_STORE(t, to, stride)            \
  for (int r_ = 0; r_ < tile_shapes.rows[t]; r_++) \
  memcpy((uint8_t *)(to) + r_ * (size_t)(stride), tile_bytes[t][r_], tile_shapes.bytes[t])
template <class A, class B>
void multiply_tiles(int t, int a, int b) {
  for (int r = 0; r < tile_shapes.rows[t]; r++)
    for (int c = 0; c < tile_shapes.bytes[t] / 4; c++) {
      int32_t sum;
      memcpy(&sum, tile_bytes[t][r] + c * 4, 4);
      for (int k = 0; k < tile_shapes.bytes[a]; k++) sum += (A)tile_bytes[a][r][k] * (B)tile_bytes[b][k / 4][c * 4 + k % 4];
      memcpy(tile_bytes[t][r] + c * 4, &sum, 4);
    }
}
#define MULTIPLY_US(t, a, b) multiply_tiles<uint8_t, int8_t>(t, a, b)
#define MULTIPLY_SU(t, a, b) multiply_tiles<int8_t, uint8_t>(t, a, b)
#define MULTIPLY_SS(t, a, b) multiply_tiles<int8_t, int8_t>(t, a, b)
#else
// GCC 12's intrinsics do not say what memory they read: all that was written is there from here on.
#define IN_MEMORY __asm__ __volatile__("" : : : "memory")
INLINE void shape_tiles(const Shapes &wanted) {
  __asm__ __volatile__("" : : "r"(&wanted) : "memory");
  _tile_loadconfig(&wanted);
}
INLINE void end_tiles() { _tile_release(); }
#define TILE_ZERO(t) _tile_zero(t)
#define TILE_LOAD(t, from, stride) _tile_loadd(t, from, stride)
#define TILE_STORE(t, to, stride) _tile_stored(t, to, stride)
#define MULTIPLY_US(t, a, b) _tile_dpbusd(t, a, b)
#define MULTIPLY_SU(t, a, b) _tile_dpbsud(t, a, b)
#define MULTIPLY_SS(t, a, b) _tile_dpbssd(t, a, b)
#endif

}  // namespace

#include "pack.h"
#define POTSTILL_MULTIPLY
#define POTSTILL_ATTEND
#include "rows.h"

namespace {

// -- Products -------------------------------------------------------------------------------------

constexpr int HIGH = 32, WIDE = 32;  // rows and columns of a block: two tiles by two

// A block's sums, whose floats are computed while the next block is multiplied.
struct Block {
  int row, column, left;  // rows that are left, the first of them
  const int32_t *sums;
};

// The next `n` rows of a block, or as many as are left.
template <After AFTER>
INLINE void finish_rows(const Linear &w, const Rounded &in, Block &b, int n, float *out, size_t stride) {
  n = n < b.left ? n : b.left;
  if (!n) return;
  Ints off[2];
  Floats scale[2], bias[2];
  for (int c = 0; c < 2; c++) {
    const int at = b.column + c * 16;
    off[c] = load(w.sums + at) * ints(in.zero);
    scale[c] = load(w.scale + at);
    bias[c] = load(w.bias + at);
  }
  float *to = out + b.row * stride + b.column;
  const float *row_scale = in.scale + b.row;
  for (int r = 0; r < n; r++, to += stride)
    for (int c = 0; c < 2; c++)
      finish<AFTER>(load(b.sums + r * WIDE + c * 16) - off[c], scale[c], floats(row_scale[r]), bias[c],
                    to + c * 16);
  b.sums += n * WIDE;
  b.row += n;
  b.left -= n;
}

// Rows [from, to) in blocks of `high` rows, which all divide into the same tiles.
template <After AFTER, bool TWO>
INLINE void multiply_rows(const Linear &w, const Rounded &in, int from, int to, int high, float *out,
                          size_t stride) {
  alignas(64) int32_t sums[2][HIGH * WIDE];
  Shapes shapes;
  const int first = high < 16 ? high : 16;
  for (int t : {0, 1, 4}) shapes.rows[t] = (uint8_t)first;
  if (TWO)
    for (int t : {2, 3, 5}) shapes.rows[t] = (uint8_t)(high - first);
  shape_tiles(shapes);
  const int depth = padded(w.n_in), columns = padded(w.n_out), steps = depth / 64;
  const int n_blocks = (to - from) / high, some = (high + steps - 1) / steps;
  Block before = {0, 0, 0, nullptr};
  for (int column = 0, turn = 0; column < columns; column += WIDE) {
    const int8_t *b0 = w.packed + (size_t)column * depth, *b1 = b0 + (size_t)depth * 16;
    // What the next columns need comes nearer meanwhile, a piece with each step.
    const char *next = (const char *)b0 + (size_t)depth * WIDE;
    const int ahead = column + WIDE < columns ? (WIDE + n_blocks - 1) / n_blocks : 0;
    for (int row = from; row < to; row += high, turn ^= 1) {
      const uint8_t *a = in.q + row * in.stride;
      TILE_ZERO(0);
      TILE_ZERO(1);
      if (TWO) {
        TILE_ZERO(2);
        TILE_ZERO(3);
      }
      for (int step = 0; step < steps; step++) {
        const int k = step * 64;
        TILE_LOAD(4, a + k, in.stride);
        TILE_LOAD(6, b0 + k * 16, 64);
        MULTIPLY_US(0, 4, 6);
        TILE_LOAD(7, b1 + k * 16, 64);
        MULTIPLY_US(1, 4, 7);
        if (TWO) {
          TILE_LOAD(5, a + 16 * in.stride + k, in.stride);
          MULTIPLY_US(2, 5, 6);
          MULTIPLY_US(3, 5, 7);
        }
        for (int i = 0; i < ahead; i++, next += 64) _mm_prefetch(next, _MM_HINT_T1);
        finish_rows<AFTER>(w, in, before, some, out, stride);
      }
      int32_t *own = sums[turn];
      TILE_STORE(0, own, WIDE * 4);
      TILE_STORE(1, own + 16, WIDE * 4);
      if (TWO) {
        TILE_STORE(2, own + 16 * WIDE, WIDE * 4);
        TILE_STORE(3, own + 16 * WIDE + 16, WIDE * 4);
      }
      before = {row, column, high, own};
    }
  }
  end_tiles();
  finish_rows<AFTER>(w, in, before, high, out, stride);
}

template <After AFTER>
void multiply(const Linear &w, const Rounded &in, int rows, float *out, size_t stride) {
  const int whole = rows / HIGH * HIGH, rest = rows - whole;
  if (whole) multiply_rows<AFTER, true>(w, in, 0, whole, HIGH, out, stride);
  if (rest > 16) multiply_rows<AFTER, true>(w, in, whole, rows, rest, out, stride);
  if (rest && rest <= 16) multiply_rows<AFTER, false>(w, in, whole, rows, rest, out, stride);
}

}  // namespace

#include "amx_attention.h"

POTSTILL_KERNEL(kernel_amx, "amx")
