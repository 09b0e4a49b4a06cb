// Bytes, four of a column at a time.
#pragma once

#include "neon.h"

namespace {

// Weights times q - 128, which fits a signed byte; the difference is added from the columns' sums.
constexpr bool SIGNED = true;
#if defined(__ARM_FEATURE_DOTPROD)
constexpr int TILE_ROWS = 6;
#else
constexpr int TILE_ROWS = 4;
#endif
constexpr int TILE_BLOCKS = 1;

INLINE int8x16_t four_times(const uint8_t *a) {
  uint32_t four;
  memcpy(&four, a, 4);
  return vreinterpretq_s8_u32(vdupq_n_u32(four ^ 0x80808080u));
}

#if defined(__ARM_FEATURE_DOTPROD)
INLINE int32x4_t add_dot(int32x4_t sums, int8x16_t x, int8x16_t w) { return vdotq_s32(sums, x, w); }
#else
INLINE int32x4_t add_dot(int32x4_t sums, int8x16_t x, int8x16_t w) {
  // Two neighbours stay within 16 bits: |x| ≤ 128 and decision 6's bound on neighbouring weights.
  const int16x8_t low = vmull_s8(vget_low_s8(x), vget_low_s8(w));
  const int16x8_t high = vmull_s8(vget_high_s8(x), vget_high_s8(w));
  return vpadalq_s16(sums, vpaddq_s16(low, high));
}
#endif

template <int ROWS>
INLINE void dot_bytes(const uint8_t *a, size_t stride, const int8_t *b, int depth,
                      Ints (&sums)[ROWS][TILE_BLOCKS]) {
  int32x4_t s[ROWS][4];
  _Pragma("GCC unroll 8") for (int r = 0; r < ROWS; r++)
    _Pragma("GCC unroll 4") for (int c = 0; c < 4; c++) s[r][c] = vdupq_n_s32(0);
  for (int k = 0; k < depth; k += 4, b += 64) {
    int8x16_t w[4];
    _Pragma("GCC unroll 4") for (int c = 0; c < 4; c++) w[c] = vld1q_s8(b + c * 16);
    _Pragma("GCC unroll 8") for (int r = 0; r < ROWS; r++) {
      const int8x16_t x = four_times(a + r * stride + k);
      _Pragma("GCC unroll 4") for (int c = 0; c < 4; c++) s[r][c] = add_dot(s[r][c], x, w[c]);
    }
  }
  for (int r = 0; r < ROWS; r++)
    for (int c = 0; c < 4; c++) sums[r][0].r[c] = (IntReg)s[r][c];
}

}  // namespace
