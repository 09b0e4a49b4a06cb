// What the kernels of 512 bits share: 64 products of bytes, or 32 of shorts, an instruction.
#pragma once

#include "kernel.h"
#include "lanes.h"

namespace {

// In assembly: GCC 12 copies the sums to and fro around the intrinsics, at half the speed.
INLINE void add_bytes(__m512i &sums, __m512i a, __m512i b) {
  __asm__("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(a), "v"(b));
}
INLINE void add_shorts(__m512i &sums, __m512i a, __m512i b) {
  __asm__("vpdpwssd %2, %1, %0" : "+v"(sums) : "v"(a), "v"(b));
}

// Rows of bytes by COLUMNS blocks of 16 columns that lie block_stride apart, k_stride for each four inputs.
template <int ROWS, int COLUMNS>
INLINE void dot_vnni(const uint8_t *a, size_t stride, const int8_t *b, size_t block_stride,
                     size_t k_stride, int depth, Ints (&sums)[ROWS][COLUMNS]) {
  __m512i s[ROWS][COLUMNS];
  _Pragma("GCC unroll 8") for (int r = 0; r < ROWS; r++)
    _Pragma("GCC unroll 4") for (int c = 0; c < COLUMNS; c++) s[r][c] = _mm512_setzero_si512();
  for (int k = 0; k < depth; k += 4, b += k_stride) {
    __m512i w[COLUMNS];
    _Pragma("GCC unroll 4") for (int c = 0; c < COLUMNS; c++)
      w[c] = _mm512_loadu_si512(b + c * block_stride);
    _Pragma("GCC unroll 8") for (int r = 0; r < ROWS; r++) {
      int32_t four;
      memcpy(&four, a + r * stride + k, 4);
      const __m512i x = _mm512_set1_epi32(four);
      _Pragma("GCC unroll 4") for (int c = 0; c < COLUMNS; c++) add_bytes(s[r][c], x, w[c]);
    }
  }
  _Pragma("GCC unroll 8") for (int r = 0; r < ROWS; r++)
    _Pragma("GCC unroll 4") for (int c = 0; c < COLUMNS; c++) sums[r][c].r[0] = (IntReg)s[r][c];
}

template <int ROWS, int COLUMNS>
INLINE void dot_shorts(const int16_t *a, size_t a_stride, const int16_t *b, size_t b_stride, int pairs,
                       Ints (&sums)[ROWS][COLUMNS]) {
  __m512i s[ROWS][COLUMNS];
  _Pragma("GCC unroll 8") for (int r = 0; r < ROWS; r++)
    _Pragma("GCC unroll 4") for (int c = 0; c < COLUMNS; c++) s[r][c] = _mm512_setzero_si512();
  for (int k = 0; k < pairs; k++, b += 32) {
    __m512i w[COLUMNS];
    _Pragma("GCC unroll 4") for (int c = 0; c < COLUMNS; c++) w[c] = _mm512_loadu_si512(b + c * b_stride);
    _Pragma("GCC unroll 8") for (int r = 0; r < ROWS; r++) {
      int32_t two;
      memcpy(&two, a + r * a_stride + k * 2, 4);
      const __m512i x = _mm512_set1_epi32(two);
      _Pragma("GCC unroll 4") for (int c = 0; c < COLUMNS; c++)
        add_shorts(s[r][c], x, w[c]);
    }
  }
  _Pragma("GCC unroll 8") for (int r = 0; r < ROWS; r++)
    _Pragma("GCC unroll 4") for (int c = 0; c < COLUMNS; c++) sums[r][c].r[0] = (IntReg)s[r][c];
}

// 2^-t of 32 exponents with 11 binary places, as `shares` in rows.h says.
INLINE __m512i share(__m512i t) {
  const __m512i r = _mm512_srli_epi16(t, 11);
  const __m512i f = _mm512_slli_epi16(_mm512_and_si512(t, _mm512_set1_epi16(2047)), 4);
  __m512i p = _mm512_add_epi16(_mm512_mulhrs_epi16(f, _mm512_set1_epi16(-1316)), _mm512_set1_epi16(7600));
  p = _mm512_add_epi16(_mm512_mulhrs_epi16(p, f), _mm512_set1_epi16(-22670));
  p = _mm512_add_epi16(_mm512_mulhrs_epi16(p, f), _mm512_set1_epi16(32767));
  // (p + 2^r) >> (r + 1) as a rounding product with 2^(14 - r), which is 0 for r = 15.
  return _mm512_mulhrs_epi16(p, _mm512_srlv_epi16(_mm512_set1_epi16(1 << 14), r));
}

// As in rows.h, 32 keys at a time.
#define POTSTILL_SHARES
INLINE int32_t shares(const int32_t *scores, int n, float factor, int16_t *out) {
  __m512i most = _mm512_set1_epi32(INT32_MIN);
  int i = 0;
  for (; i + 16 <= n; i += 16) most = _mm512_max_epi32(most, _mm512_loadu_si512(scores + i));
  if (i < n)
    most = _mm512_mask_max_epi32(most, (__mmask16)((1u << (n - i)) - 1), most,
                                 _mm512_loadu_si512(scores + i));
  const __m512i top = _mm512_set1_epi32(_mm512_reduce_max_epi32(most));
  const __m512 by = _mm512_set1_ps(factor), cut = _mm512_set1_ps(32767.0f);
  const __m512i one = _mm512_set1_epi16(1), order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
  __m512i total = _mm512_setzero_si512();
  for (i = 0; i < n; i += 32) {
    __m512i half[2];
    for (int j = 0; j < 2; j++) {
      const __m512i below = _mm512_sub_epi32(top, _mm512_loadu_si512(scores + i + j * 16));
      half[j] = _mm512_cvtps_epi32(_mm512_min_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(below), by), cut));
    }
    const __m512i t =
        _mm512_permutexvar_epi64(order, _mm512_packs_epi32(half[0], half[1]));
    __m512i p = share(t);
    if (i + 32 > n) p = _mm512_maskz_mov_epi16((__mmask32)((1u << (n - i)) - 1), p);
    add_shorts(total, p, one);
    _mm512_storeu_si512(out + i, p);
  }
  return _mm512_reduce_add_epi32(total);
}

}  // namespace
