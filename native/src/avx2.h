// What the kernels of 256 bits share.
#pragma once

#include "kernel.h"
#include "lanes.h"

namespace {

constexpr int TILE_BLOCKS = 1;
constexpr bool SIGNED = false;

#if defined(__AVXVNNI__)
// In assembly: GCC 12 copies the sums to and fro around the intrinsics.
constexpr int TILE_ROWS = 6;
INLINE void add_bytes(__m256i &sums, __m256i a, __m256i b) {
  __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sums) : "x"(a), "x"(b));
}
INLINE void add_shorts(__m256i &sums, __m256i a, __m256i b) {
  __asm__("%{vex%} vpdpwssd %2, %1, %0" : "+x"(sums) : "x"(a), "x"(b));
}
#else
// Bytes are multiplied into sums of two in 16 bits, which decision 6 keeps from saturating.
constexpr int TILE_ROWS = 4;
INLINE void add_bytes(__m256i &sums, __m256i a, __m256i b) {
  const __m256i pairs = _mm256_maddubs_epi16(a, b);
  sums = _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
INLINE void add_shorts(__m256i &sums, __m256i a, __m256i b) {
  sums = _mm256_add_epi32(sums, _mm256_madd_epi16(a, b));
}
#endif

INLINE __m256i splat(const void *p) {
  int32_t x;
  memcpy(&x, p, 4);
  return _mm256_set1_epi32(x);
}

template <int ROWS>
INLINE void dot_bytes(const uint8_t *a, size_t stride, const int8_t *b, int depth,
                      Ints (&sums)[ROWS][TILE_BLOCKS]) {
  __m256i s[ROWS][2];
  _Pragma("GCC unroll 8") for (int r = 0; r < ROWS; r++) s[r][0] = s[r][1] = _mm256_setzero_si256();
  for (int k = 0; k < depth; k += 4, b += 64) {
    const __m256i w0 = _mm256_loadu_si256((const __m256i *)b);
    const __m256i w1 = _mm256_loadu_si256((const __m256i *)(b + 32));
    _Pragma("GCC unroll 8") for (int r = 0; r < ROWS; r++) {
      const __m256i x = splat(a + r * stride + k);
      add_bytes(s[r][0], x, w0);
      add_bytes(s[r][1], x, w1);
    }
  }
  _Pragma("GCC unroll 8") for (int r = 0; r < ROWS; r++) {
    sums[r][0].r[0] = (IntReg)s[r][0];
    sums[r][0].r[1] = (IntReg)s[r][1];
  }
}

template <int ROWS, int COLUMNS>
INLINE void dot_some(const int16_t *a, size_t a_stride, const int16_t *b, int pairs, Ints *sums) {
  __m256i s[ROWS][2];
  _Pragma("GCC unroll 8") for (int r = 0; r < ROWS; r++) s[r][0] = s[r][1] = _mm256_setzero_si256();
  for (int k = 0; k < pairs; k++, b += 32) {
    const __m256i w0 = _mm256_loadu_si256((const __m256i *)b);
    const __m256i w1 = _mm256_loadu_si256((const __m256i *)(b + 16));
    _Pragma("GCC unroll 8") for (int r = 0; r < ROWS; r++) {
      const __m256i x = splat(a + r * a_stride + k * 2);
      add_shorts(s[r][0], x, w0);
      add_shorts(s[r][1], x, w1);
    }
  }
  _Pragma("GCC unroll 8") for (int r = 0; r < ROWS; r++) {
    sums[r * COLUMNS].r[0] = (IntReg)s[r][0];
    sums[r * COLUMNS].r[1] = (IntReg)s[r][1];
  }
}

// Four rows and one block at a time: more would not stay in 16 registers.
template <int ROWS, int COLUMNS>
INLINE void dot_shorts(const int16_t *a, size_t a_stride, const int16_t *b, size_t b_stride, int pairs,
                       Ints (&sums)[ROWS][COLUMNS]) {
  constexpr int SOME = ROWS < 4 ? ROWS : 4;
  for (int c = 0; c < COLUMNS; c++)
    for (int r = 0; r < ROWS; r += SOME)
      dot_some<SOME, COLUMNS>(a + r * a_stride, a_stride, b + c * b_stride, pairs, &sums[r][c]);
}

// (p + 2^r) >> (r + 1) as a rounding product with 2^(14 - r), which is 0 for r = 15.
INLINE __m256i halved(__m256i p, __m256i r) {
  const __m256i high = _mm256_broadcastsi128_si256(
      _mm_setr_epi8(64, 32, 16, 8, 4, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0));
  const __m256i low = _mm256_broadcastsi128_si256(
      _mm_setr_epi8(0, 0, 0, 0, 0, 0, 0, -128, 64, 32, 16, 8, 4, 2, 1, 0));
  const __m256i index = _mm256_or_si256(r, _mm256_slli_epi16(r, 8));
  const __m256i by =
      _mm256_blendv_epi8(_mm256_shuffle_epi8(low, index), _mm256_shuffle_epi8(high, index),
                         _mm256_set1_epi16((int16_t)0xff00));
  return _mm256_mulhrs_epi16(p, by);
}

// As in rows.h, 16 keys at a time.
#define POTSTILL_SHARES
INLINE int32_t shares(const int32_t *scores, int n, float factor, int16_t *out) {
  int i = 0;
  int32_t top = scores[0];
  if (n >= 8) {
    __m256i most = _mm256_loadu_si256((const __m256i *)scores);
    for (i = 8; i + 8 <= n; i += 8)
      most = _mm256_max_epi32(most, _mm256_loadu_si256((const __m256i *)(scores + i)));
    int32_t lanes[8];
    _mm256_storeu_si256((__m256i *)lanes, most);
    for (int j = 0; j < 8; j++) top = lanes[j] > top ? lanes[j] : top;
  }
  for (; i < n; i++) top = scores[i] > top ? scores[i] : top;
  const __m256i tops = _mm256_set1_epi32(top);
  const __m256 by = _mm256_set1_ps(factor), cut = _mm256_set1_ps(32767.0f);
  const __m256i one = _mm256_set1_epi16(1);
  __m256i total = _mm256_setzero_si256();
  for (i = 0; i < n; i += 16) {
    __m256i half[2];
    for (int j = 0; j < 2; j++) {
      const __m256i below =
          _mm256_sub_epi32(tops, _mm256_loadu_si256((const __m256i *)(scores + i + j * 8)));
      half[j] = _mm256_cvtps_epi32(_mm256_min_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(below), by), cut));
    }
    const __m256i t = _mm256_permute4x64_epi64(_mm256_packs_epi32(half[0], half[1]), 0xd8);
    const __m256i r = _mm256_srli_epi16(t, 11);
    const __m256i f = _mm256_slli_epi16(_mm256_and_si256(t, _mm256_set1_epi16(2047)), 4);
    __m256i p = _mm256_add_epi16(_mm256_mulhrs_epi16(f, _mm256_set1_epi16(-1316)),
                                 _mm256_set1_epi16(7600));
    p = _mm256_add_epi16(_mm256_mulhrs_epi16(p, f), _mm256_set1_epi16(-22670));
    p = _mm256_add_epi16(_mm256_mulhrs_epi16(p, f), _mm256_set1_epi16(32767));
    p = halved(p, r);
    if (i + 16 > n) {
      const __m256i lane =
          _mm256_setr_epi16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
      p = _mm256_and_si256(p, _mm256_cmpgt_epi16(_mm256_set1_epi16((int16_t)(n - i)), lane));
    }
    add_shorts(total, p, one);
    _mm256_storeu_si256((__m256i *)(out + i), p);
  }
  int32_t lanes[8], all = 0;
  _mm256_storeu_si256((__m256i *)lanes, total);
  for (int j = 0; j < 8; j++) all += lanes[j];
  return all;
}

}  // namespace
