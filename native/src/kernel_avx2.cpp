// AVX2: bytes are multiplied into sums of two in 16 bits, which decision 6 keeps from saturating.
#include "kernel.h"
#include "lanes.h"

namespace {

constexpr int TILE_ROWS = 4;
constexpr int TILE_BLOCKS = 1;
constexpr bool SIGNED = false;

INLINE __m256i splat(const void *p) {
  int32_t x;
  memcpy(&x, p, 4);
  return _mm256_set1_epi32(x);
}

template <int ROWS>
INLINE void dot_bytes(const uint8_t *a, size_t stride, const int8_t *b, int depth,
                      Ints (&sums)[ROWS][TILE_BLOCKS]) {
  const __m256i ones = _mm256_set1_epi16(1);
  __m256i s[ROWS][2];
  _Pragma("GCC unroll 8") for (int r = 0; r < ROWS; r++) s[r][0] = s[r][1] = _mm256_setzero_si256();
  for (int k = 0; k < depth; k += 4, b += 64) {
    const __m256i w0 = _mm256_loadu_si256((const __m256i *)b);
    const __m256i w1 = _mm256_loadu_si256((const __m256i *)(b + 32));
    _Pragma("GCC unroll 8") for (int r = 0; r < ROWS; r++) {
      const __m256i x = splat(a + r * stride + k);
      s[r][0] = _mm256_add_epi32(s[r][0], _mm256_madd_epi16(_mm256_maddubs_epi16(x, w0), ones));
      s[r][1] = _mm256_add_epi32(s[r][1], _mm256_madd_epi16(_mm256_maddubs_epi16(x, w1), ones));
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
      s[r][0] = _mm256_add_epi32(s[r][0], _mm256_madd_epi16(x, w0));
      s[r][1] = _mm256_add_epi32(s[r][1], _mm256_madd_epi16(x, w1));
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

}  // namespace

#include "pack.h"
#include "rows.h"

POTSTILL_KERNEL(kernel_avx2, "avx2")
