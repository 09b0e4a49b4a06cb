// What the kernels of 64-bit Arm share. Bytes are multiplied by the dot product where the processor has
// one ("dotprod"), or into 16 bits ("neon"); kernel_i8mm.cpp has a way of its own.
#pragma once

#include "kernel.h"
#include "lanes.h"

namespace {

// Products of pairs, added up at the end: column c's two lie side by side in b.
template <int ROWS>
INLINE void dot_some(const int16_t *a, size_t a_stride, const int16_t *b, int pairs, Ints *sums,
                     int sums_stride) {
  int32x4_t low[ROWS][4], high[ROWS][4];
  _Pragma("GCC unroll 4") for (int r = 0; r < ROWS; r++)
    _Pragma("GCC unroll 4") for (int c = 0; c < 4; c++) low[r][c] = high[r][c] = vdupq_n_s32(0);
  for (int k = 0; k < pairs; k++, b += 32) {
    int16x8_t w[4];
    _Pragma("GCC unroll 4") for (int c = 0; c < 4; c++) w[c] = vld1q_s16(b + c * 8);
    _Pragma("GCC unroll 4") for (int r = 0; r < ROWS; r++) {
      int32_t two;
      memcpy(&two, a + r * a_stride + k * 2, 4);
      const int16x4_t x = vreinterpret_s16_s32(vdup_n_s32(two));
      _Pragma("GCC unroll 4") for (int c = 0; c < 4; c++) {
        low[r][c] = vmlal_s16(low[r][c], x, vget_low_s16(w[c]));
        high[r][c] = vmlal_s16(high[r][c], x, vget_high_s16(w[c]));
      }
    }
  }
  for (int r = 0; r < ROWS; r++)
    for (int c = 0; c < 4; c++)
      sums[r * sums_stride].r[c] = (IntReg)vpaddq_s32(low[r][c], high[r][c]);
}

template <int ROWS, int COLUMNS>
INLINE void dot_shorts(const int16_t *a, size_t a_stride, const int16_t *b, size_t b_stride, int pairs,
                       Ints (&sums)[ROWS][COLUMNS]) {
  constexpr int SOME = ROWS < 2 ? ROWS : 2;
  for (int c = 0; c < COLUMNS; c++)
    for (int r = 0; r < ROWS; r += SOME)
      dot_some<SOME>(a + r * a_stride, a_stride, b + c * b_stride, pairs, &sums[r][c], COLUMNS);
}

// As in rows.h, 16 keys at a time: (p + 2^r) >> (r + 1) is a rounding shift.
#define POTSTILL_SHARES
INLINE int32_t shares(const int32_t *scores, int n, float factor, int16_t *out) {
  int32x4_t most = vdupq_n_s32(INT32_MIN);
  int i = 0;
  for (; i + 4 <= n; i += 4) most = vmaxq_s32(most, vld1q_s32(scores + i));
  int32_t top = vmaxvq_s32(most);
  for (; i < n; i++) top = scores[i] > top ? scores[i] : top;
  const int32x4_t tops = vdupq_n_s32(top);
  int32x4_t total = vdupq_n_s32(0);
  for (i = 0; i < n; i += 8) {
    int16x4_t half[2];
    for (int j = 0; j < 2; j++) {
      const int32x4_t below = vsubq_s32(tops, vld1q_s32(scores + i + j * 4));
      const float32x4_t x = vminq_f32(vmulq_n_f32(vcvtq_f32_s32(below), factor), vdupq_n_f32(32767.0f));
      half[j] = vmovn_s32(vcvtnq_s32_f32(x));
    }
    const int16x8_t t = vcombine_s16(half[0], half[1]);
    const int16x8_t r = vshrq_n_s16(t, 11);
    const int16x8_t f = vshlq_n_s16(vandq_s16(t, vdupq_n_s16(2047)), 4);
    int16x8_t p = vaddq_s16(vqrdmulhq_n_s16(f, -1316), vdupq_n_s16(7600));
    p = vaddq_s16(vqrdmulhq_s16(p, f), vdupq_n_s16(-22670));
    p = vaddq_s16(vqrdmulhq_s16(p, f), vdupq_n_s16(32767));
    p = vreinterpretq_s16_u16(vrshlq_u16(vreinterpretq_u16_s16(p), vsubq_s16(vdupq_n_s16(-1), r)));
    if (i + 8 > n) {
      static const int16_t counted[8] = {0, 1, 2, 3, 4, 5, 6, 7};
      const uint16x8_t real = vcltq_s16(vld1q_s16(counted), vdupq_n_s16((int16_t)(n - i)));
      p = vandq_s16(p, vreinterpretq_s16_u16(real));
    }
    total = vpadalq_s16(total, p);
    vst1q_s16(out + i, p);
  }
  if ((n + 7) / 8 % 2) vst1q_s16(out + (n + 7) / 8 * 8, vdupq_n_s16(0));  // up to whole blocks of 16
  return vaddvq_s32(total);
}

}  // namespace
