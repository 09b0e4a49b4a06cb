// 64-bit Arm with products of matrices of bytes: two rows by two columns, eight deep, an instruction.
#include "neon.h"

namespace {

constexpr bool SIGNED = false;
constexpr int TILE_ROWS = 6;
constexpr int TILE_BLOCKS = 1;

template <int ROWS>
INLINE void dot_bytes(const uint8_t *a, size_t stride, const int8_t *b, int depth,
                      Ints (&sums)[ROWS][TILE_BLOCKS]) {
  constexpr int PAIRS = (ROWS + 1) / 2;
  int32x4_t s[PAIRS][8];
  _Pragma("GCC unroll 4") for (int p = 0; p < PAIRS; p++)
    _Pragma("GCC unroll 8") for (int c = 0; c < 8; c++) s[p][c] = vdupq_n_s32(0);
  for (int k = 0; k < depth; k += 8, b += 128) {
    uint8x16_t x[PAIRS];
    _Pragma("GCC unroll 4") for (int p = 0; p < PAIRS; p++) {
      const int second = 2 * p + 1 < ROWS ? 2 * p + 1 : 2 * p;  // of an odd number the last one twice
      x[p] = vcombine_u8(vld1_u8(a + 2 * p * stride + k), vld1_u8(a + second * stride + k));
    }
    _Pragma("GCC unroll 8") for (int c = 0; c < 8; c++) {
      const int8x16_t w = vld1q_s8(b + c * 16);
      _Pragma("GCC unroll 4") for (int p = 0; p < PAIRS; p++) s[p][c] = vusmmlaq_s32(s[p][c], x[p], w);
    }
  }
  for (int r = 0; r < ROWS; r++)
    for (int c = 0; c < 4; c++) {
      const int32x4_t left = s[r / 2][2 * c], right = s[r / 2][2 * c + 1];
      sums[r][0].r[c] = (IntReg)(r % 2 ? vcombine_s32(vget_high_s32(left), vget_high_s32(right))
                                       : vcombine_s32(vget_low_s32(left), vget_low_s32(right)));
    }
}

size_t packed_size(int n_in, int n_out) { return (size_t)padded(n_in) * padded(n_out); }

// [in][out] → [block of 16 columns][group of 8 inputs][column][8]
void pack(const int8_t *weight, int n_in, int n_out, int8_t *packed) {
  const int depth = padded(n_in);
  for (int column = 0; column < n_out; column++) {
    int8_t *to = packed + (size_t)(column / 16) * 16 * depth + column % 16 * 8;
    for (int k = 0; k < n_in; k++) to[(size_t)(k / 8) * 128 + k % 8] = weight[(size_t)k * n_out + column];
  }
}

}  // namespace

#include "rows.h"

POTSTILL_KERNEL(kernel_i8mm, "i8mm")
